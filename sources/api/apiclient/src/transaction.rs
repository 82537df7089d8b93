//! Names of transactions.

use rustix::rand::{GetRandomFlags, getrandom};

/// What a random part consists of.
const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// Length of the random part: two callers meet once in 62^16.
const LENGTH: usize = 16;

/// A name that no other caller uses: `apiclient-VERB-` and random letters and digits.
pub fn transaction_name(verb: &str) -> Result<String, std::io::Error> {
    let mut name = format!("apiclient-{verb}-");
    let whole = name.len() + LENGTH;
    while name.len() < whole {
        let mut bytes = [0; 2 * LENGTH];
        let filled = getrandom(&mut bytes, GetRandomFlags::empty())?;
        // Only values below a multiple of 62 count, so that every letter is equally likely.
        let letters =
            bytes[..filled].iter().filter(|byte| **byte < 248).map(|byte| ALPHABET[usize::from(byte % 62)]);
        name.extend(letters.take(whole - name.len()).map(char::from));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_documented_in_form_and_differ() {
        let (one, two) = (transaction_name("set").unwrap(), transaction_name("set").unwrap());
        for name in [&one, &two] {
            let random = name.strip_prefix("apiclient-set-").unwrap();
            assert_eq!(random.len(), 16, "{name}");
            assert!(random.chars().all(|c| c.is_ascii_alphanumeric()), "{name}");
        }
        assert_ne!(one, two);
    }
}
