//! Saying which name was probably meant.

/// `; did you mean 'x'?` when one of the valid names is close to the wrong one, else nothing.
pub(crate) fn did_you_mean<'a>(wrong: &str, valid: impl Iterator<Item = &'a str>) -> String {
    let nearest = valid
        .map(|name| (strsim::damerau_levenshtein(wrong, name), name))
        .filter(|(distance, name)| *distance <= name.len().max(wrong.len()) / 3 + 1)
        .min();
    nearest.map_or_else(String::new, |(_, name)| format!("; did you mean '{name}'?"))
}
