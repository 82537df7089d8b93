//! Guesses at what a misspelt name was meant to be.

/// `; did you mean 'X'?` if a name is close enough to one of the valid ones, else nothing.
pub fn did_you_mean<'a>(name: &str, valid: impl IntoIterator<Item = &'a str>) -> String {
    // A third of the letters may be wrong: more than that is another word.
    let limit = (name.chars().count() / 3).max(1);
    let distances = valid.into_iter().map(|known| (strsim::damerau_levenshtein(name, known), known));
    match distances.min().filter(|(distance, _)| *distance <= limit) {
        Some((_, known)) => format!("; did you mean '{known}'?"),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_offered_and_no_far_one() {
        let valid = ["metal-dev", "aws-dev", "vmware-dev"];
        for (name, hint) in [
            ("metal-deb", "; did you mean 'metal-dev'?"),
            ("awsdev", "; did you mean 'aws-dev'?"),
            ("kubernetes", ""),
            ("", ""),
        ] {
            assert_eq!(did_you_mean(name, valid), hint, "{name}");
        }
        assert_eq!(did_you_mean("a", []), "");
    }
}
