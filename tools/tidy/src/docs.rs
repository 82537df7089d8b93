//! Rules about Markdown: links that resolve, promises with a proof.

use crate::Finding;

/// Relative links of a Markdown file that lead nowhere; `exists` is asked for paths from the root.
pub(crate) fn links(file: &str, text: &str, exists: impl Fn(&str) -> bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut in_code = false;
    for (index, line) in text.lines().enumerate() {
        in_code ^= line.trim_start().starts_with("```");
        if in_code {
            continue;
        }
        for target in targets(line) {
            let path = target.split(['#', ' ']).next().unwrap_or_default();
            if path.is_empty() || target.contains(':') || exists(&resolve(file, path)) {
                continue;
            }
            findings.push(Finding::new(
                file,
                index + 1,
                format!("the link to {path} leads nowhere; name a file of the tree"),
            ));
        }
    }
    findings
}

/// Promises of `SPECIFICATION.md` without a proof in the tree. A promise is a row of a table that has a column
/// `Proof`, which holds, in backticks, `crate::path::test_name` or `bench:scenario`; several are parted by commas.
/// `names_test(crate, test)` and `names_scenario(name)` say whether the source has it.
pub(crate) fn promises(
    file: &str,
    text: &str,
    names_test: impl Fn(&str, &str) -> bool,
    names_scenario: impl Fn(&str) -> bool,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut column = None;
    for (index, line) in text.lines().enumerate() {
        let Some(cells) = cells(line) else {
            column = None;
            continue;
        };
        let Some(proof) = column else {
            column = cells.iter().position(|cell| *cell == "Proof");
            continue;
        };
        let cell = cells.get(proof).copied().unwrap_or_default();
        if cell.chars().all(|c| matches!(c, '-' | ':')) && !cell.is_empty() {
            continue;
        }
        let proofs: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
        if proofs.is_empty() {
            let text = "a promise without a proof; name `crate::path::test_name` or `bench:scenario`";
            findings.push(Finding::new(file, index + 1, text));
        }
        for proof in proofs {
            let found = match (proof.strip_prefix("bench:"), proof.split_once("::")) {
                (Some(scenario), _) => names_scenario(scenario),
                (None, Some((krate, path))) => {
                    names_test(krate, path.rsplit("::").next().unwrap_or_default())
                }
                (None, None) => false,
            };
            if !found {
                findings.push(Finding::new(
                    file,
                    index + 1,
                    format!("there is no test or scenario `{proof}`; name one that exists"),
                ));
            }
        }
    }
    findings
}

/// The targets of the links of a line, code spans left out.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split('`')
        .step_by(2)
        .flat_map(|text| text.split("](").skip(1))
        .filter_map(|rest| rest.split(')').next())
}

/// `path`, as written in `file`, from the root.
fn resolve(file: &str, path: &str) -> String {
    let mut parts: Vec<&str> = if path.starts_with('/') { Vec::new() } else { file.split('/').collect() };
    parts.pop();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    parts.join("/")
}

/// The cells of a table's row, or nothing if the line is not one.
fn cells(line: &str) -> Option<Vec<&str>> {
    let row = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    Some(row.split('|').map(str::trim).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_resolve() {
        let exists = |path: &str| ["docs/a.md", "README.md"].contains(&path);
        for (text, right) in [
            ("[a](a.md)", true),
            ("[a](a.md#part) and [r](../README.md)", true),
            ("[r](/README.md)", true),
            ("[web](https://example.org/x.md)", true),
            ("[here](#part)", true),
            ("`[no](nothing.md)`", true),
            ("```\n[no](nothing.md)\n```", true),
            ("[no](nothing.md)", false),
            ("[a](a.md) [no](../docs/b.md)", false),
        ] {
            assert_eq!(links("docs/b.txt", text, exists).is_empty(), right, "{text}");
        }
    }

    #[test]
    fn every_promise_has_a_proof_that_exists() {
        for (cell, right) in [
            ("`datastore::store::commit_is_atomic`", true),
            ("`bench:get-300`", true),
            ("`datastore::store::commit_is_atomic`, `bench:get-300`", true),
            ("`datastore::commit_is_torn`", false),
            ("`settings::commit_is_atomic`", false),
            ("`bench:get-9`", false),
            ("`commit_is_atomic`", false),
            ("yes", false),
            ("", false),
        ] {
            let text = format!("| Promise | Proof |\n| --- | :-: |\n| a | {cell} |\n");
            let findings = promises(
                "S.md",
                &text,
                |krate, test| (krate, test) == ("datastore", "commit_is_atomic"),
                |scenario| scenario == "get-300",
            );
            assert_eq!(findings.is_empty(), right, "{cell}: {findings:?}");
        }
        let other = "| Name | Size |\n| --- | --- |\n| a | 1 |\n";
        assert_eq!(promises("S.md", other, |_, _| false, |_| false), []);
    }
}
