//! The number of huge pages of a host whose user chose none.

use snafu::{ResultExt, Snafu};

/// Huge pages that the driver of an Elastic Fabric Adapter uses for each processor.
const EFA_PAGES_PER_CPU: u64 = 110;

/// What the kernel says is no number.
#[derive(Debug, Snafu)]
#[snafu(display("read '{text}' as a number of huge pages"))]
pub struct NotANumber {
    text: String,
    source: std::num::ParseIntError,
}

/// The number: what the kernel has (`current` is the text of `vm.nr_hugepages`), unless that is none; then what an
/// Elastic Fabric Adapter needs, where there is one.
pub fn hugepages(current: &str, efa: bool, cpus: u32) -> Result<u64, NotANumber> {
    let text = current.trim();
    let current: u64 = text.parse().context(NotANumberSnafu { text })?;
    Ok(match current {
        0 if efa => EFA_PAGES_PER_CPU * u64::from(cpus),
        current => current,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_number_stays_and_an_adapter_gets_its_pages() {
        for (current, efa, expected) in
            [("0\n", false, 0), ("0\n", true, 440), ("7\n", true, 7), ("7", false, 7)]
        {
            assert_eq!(hugepages(current, efa, 4).unwrap(), expected, "{current:?} {efa}");
        }
        assert_eq!(
            hugepages("many", false, 1).unwrap_err().to_string(),
            "read 'many' as a number of huge pages"
        );
    }
}
