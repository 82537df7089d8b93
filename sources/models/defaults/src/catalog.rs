//! From fragments and recipes to variants.

use crate::merge::{Conflict, merge};
use crate::names::did_you_mean;
use crate::variant::{self, Variant};
use include_dir::{Dir, include_dir};
use serde::Deserialize;
use snafu::{OptionExt, ResultExt, Snafu, ensure};
use std::collections::{BTreeMap, BTreeSet};
use toml::{Table, Value};

static FRAGMENTS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/fragments");
static RECIPES: &str = include_str!("../variants.toml");

/// What a fragment may hold.
const FRAGMENT_TABLES: [&str; 4] = ["settings", "services", "configuration-files", "metadata"];

/// All variants, and the fragments they are composed of.
#[derive(Clone, Debug)]
pub struct Catalog {
    fragments: BTreeMap<String, Table>,
    recipes: Vec<Recipe>,
    groups: Lists,
    sequences: Lists,
}

/// How a variant is composed that may have no recipe here.
#[derive(Clone, Debug)]
pub enum Composition<'a> {
    /// As another variant, by its recipe.
    Like(&'a str),
    /// Of lists, in which `@name` stands for a list of `variants.toml`.
    Lists {
        /// Groups of settings.
        groups: &'a [String],
        /// Fragments, in the order in which they are merged.
        fragments: &'a [String],
    },
}

/// How one variant is composed, inclusions resolved.
#[derive(Clone, Debug)]
struct Recipe {
    variant: String,
    groups: Vec<String>,
    fragments: Vec<String>,
}

/// What is wrong with the data of variants, or with a request for one.
#[derive(Debug, Clone, PartialEq, Snafu)]
#[allow(missing_docs)]
pub enum Error {
    #[snafu(display("parse the recipes of variants"))]
    ParseRecipes { source: toml::de::Error },
    #[snafu(display("parse the fragment '{fragment}'"))]
    ParseFragment { fragment: String, source: toml::de::Error },
    #[snafu(display(
        "fragment '{fragment}' holds '{member}'; a fragment holds only tables named {}",
        FRAGMENT_TABLES.join(", ")
    ))]
    UnknownTable { fragment: String, member: String },
    #[snafu(display("two recipes serve the variant '{variant}'"))]
    RepeatedVariant { variant: String },
    #[snafu(display("the recipe of '{variant}' includes '@{list}', which does not exist{hint}"))]
    UnknownList { variant: String, list: String, hint: String },
    #[snafu(display("the recipe of '{variant}' includes '@{list}', which includes itself"))]
    CircularList { variant: String, list: String },
    #[snafu(display(
        "the recipe of '{variant}' names the fragment '{fragment}', which does not exist{hint}"
    ))]
    UnknownFragment { variant: String, fragment: String, hint: String },
    #[snafu(display("there is no variant '{name}'{hint} (the variants are {})", valid.join(", ")))]
    UnknownVariant { name: String, hint: String, valid: Vec<String> },
    #[snafu(display("compose the variant '{variant}'"))]
    MergeFragments {
        variant: String,
        #[snafu(source(from(Conflict, Box::new)))]
        source: Box<Conflict>,
    },
    #[snafu(display("compose the variant '{variant}'"))]
    CheckVariant {
        variant: String,
        #[snafu(source(from(variant::Error, Box::new)))]
        source: Box<variant::Error>,
    },
}

/// The written form of recipes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    groups: Lists,
    #[serde(default)]
    sequences: Lists,
    #[serde(default, rename = "recipe")]
    recipes: Vec<WrittenRecipe>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRecipe {
    variants: Vec<String>,
    groups: Vec<String>,
    fragments: Vec<String>,
}

/// Named lists, which may include each other as `@name`.
type Lists = BTreeMap<String, Vec<String>>;

impl Catalog {
    /// The catalog of this release.
    pub fn embedded() -> Self {
        let fragments = FRAGMENTS.files().filter_map(|file| {
            let name = file.path().file_name()?.to_str()?.strip_suffix(".toml")?;
            Some((name, file.contents_utf8()?))
        });
        Self::parse(RECIPES, fragments).expect("a test parses the embedded catalog")
    }

    /// Reads recipes and fragments, the latter by name.
    pub fn parse<'a>(
        recipes: &str,
        fragments: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, Error> {
        let fragments = fragments
            .into_iter()
            .map(|(name, text)| Ok((name.to_owned(), parse_fragment(name, text)?)))
            .collect::<Result<BTreeMap<_, _>, Error>>()?;
        let document: Document = toml::from_str(recipes).context(ParseRecipesSnafu)?;
        let Document { groups, sequences, recipes } = document;
        let mut catalog = Self { fragments, recipes: Vec::new(), groups, sequences };
        for written in &recipes {
            for variant in &written.variants {
                catalog.add(catalog.resolve(variant, &written.groups, &written.fragments)?)?;
            }
        }
        Ok(catalog)
    }

    /// The names of all variants, in the order of their recipes.
    pub fn variants(&self) -> impl Iterator<Item = &str> {
        self.recipes.iter().map(|recipe| recipe.variant.as_str())
    }

    /// The names of the fragments of a variant, in the order in which they are merged.
    pub fn fragments(&self, variant: &str) -> Result<&[String], Error> {
        Ok(&self.recipe(variant)?.fragments)
    }

    /// Composes a variant by its recipe.
    pub fn variant(&self, name: &str) -> Result<Variant, Error> {
        self.compose(name, &Composition::Like(name))
    }

    /// Composes a variant that may have no recipe here.
    pub fn compose(&self, name: &str, composition: &Composition) -> Result<Variant, Error> {
        let recipe = match composition {
            Composition::Like(other) => self.recipe(other)?.clone(),
            Composition::Lists { groups, fragments } => self.resolve(name, groups, fragments)?,
        };
        let fragments = recipe.fragments.iter().map(|name| (name.as_str(), &self.fragments[name]));
        let mut table = merge(fragments).context(MergeFragmentsSnafu { variant: name })?;
        table.insert("name".to_owned(), Value::from(name));
        table.insert("groups".to_owned(), Value::from(recipe.groups));
        Variant::from_table(table).context(CheckVariantSnafu { variant: name })
    }

    /// Lists with their inclusions in place, and every fragment known.
    fn resolve(&self, variant: &str, groups: &[String], fragments: &[String]) -> Result<Recipe, Error> {
        let groups = resolve(variant, groups, &self.groups)?;
        let fragments = resolve(variant, fragments, &self.sequences)?;
        for fragment in &fragments {
            let hint = || did_you_mean(fragment, self.fragments.keys().map(String::as_str));
            let known = self.fragments.contains_key(fragment);
            ensure!(known, UnknownFragmentSnafu { variant, fragment, hint: hint() });
        }
        Ok(Recipe { variant: variant.to_owned(), groups, fragments })
    }

    fn recipe(&self, variant: &str) -> Result<&Recipe, Error> {
        let found = self.recipes.iter().find(|recipe| recipe.variant == variant);
        found.with_context(|| UnknownVariantSnafu {
            name: variant,
            hint: did_you_mean(variant, self.variants()),
            valid: self.variants().map(str::to_owned).collect::<Vec<_>>(),
        })
    }

    fn add(&mut self, recipe: Recipe) -> Result<(), Error> {
        let variant = &recipe.variant;
        ensure!(self.variants().all(|known| known != variant), RepeatedVariantSnafu { variant });
        self.recipes.push(recipe);
        Ok(())
    }
}

fn parse_fragment(name: &str, text: &str) -> Result<Table, Error> {
    let table: Table = toml::from_str(text).context(ParseFragmentSnafu { fragment: name })?;
    match table.keys().find(|member| !FRAGMENT_TABLES.contains(&member.as_str())) {
        Some(member) => UnknownTableSnafu { fragment: name, member }.fail(),
        None => Ok(table),
    }
}

/// Replaces each `@name` of a list by the list of that name.
fn resolve(variant: &str, list: &[String], lists: &Lists) -> Result<Vec<String>, Error> {
    let mut resolved = Vec::new();
    include(variant, list, lists, &mut BTreeSet::new(), &mut resolved)?;
    Ok(resolved)
}

fn include<'a>(
    variant: &str,
    list: &'a [String],
    lists: &'a Lists,
    open: &mut BTreeSet<&'a str>,
    resolved: &mut Vec<String>,
) -> Result<(), Error> {
    for entry in list {
        let Some(name) = entry.strip_prefix('@') else {
            resolved.push(entry.clone());
            continue;
        };
        let hint = || did_you_mean(name, lists.keys().map(String::as_str));
        let included = lists.get(name);
        let included = included.with_context(|| UnknownListSnafu { variant, list: name, hint: hint() })?;
        ensure!(open.insert(name), CircularListSnafu { variant, list: name });
        include(variant, included, lists, open, resolved)?;
        open.remove(name);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAGMENTS: [(&str, &str); 3] = [
        ("base", "settings.motd = 'hi'\nsettings.list = [1]"),
        ("other", "settings.list = [2, 3]"),
        ("clash", "settings.motd = 1"),
    ];

    fn parse(recipes: &str) -> Result<Catalog, Error> {
        Catalog::parse(recipes, FRAGMENTS)
    }

    fn why(error: &dyn std::error::Error) -> String {
        error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {}", why(source)))
    }

    #[test]
    fn a_recipe_serves_its_variants_with_inclusions_in_place() {
        let catalog = parse(
            "groups = { all = ['motd'], more = ['@all', 'dns'] }\nsequences = { tail = ['other'] }\n\
             recipe = [{ variants = ['b-two', 'a-one'], groups = ['@more', 'ntp'], fragments = ['base', '@tail'] }]",
        )
        .unwrap();
        assert_eq!(catalog.variants().collect::<Vec<_>>(), ["b-two", "a-one"]);
        assert_eq!(catalog.fragments("a-one").unwrap(), ["base", "other"]);
        let variant = catalog.variant("a-one").unwrap();
        assert_eq!(variant.groups, ["motd", "dns", "ntp"]);
        assert_eq!(variant.settings, serde_json::json!({"motd": "hi", "list": [2, 3]}));
    }

    #[test]
    fn a_variant_without_a_recipe_is_composed_like_another_or_of_lists() {
        let catalog = parse(
            "groups = { all = ['motd'] }\nsequences = { tail = ['other'] }\n\
             recipe = [{ variants = ['a-one'], groups = ['@all'], fragments = ['base', '@tail'] }]",
        )
        .unwrap();
        let like = catalog.compose("my-own", &Composition::Like("a-one")).unwrap();
        assert_eq!((like.name.as_str(), like.platform.as_str()), ("my-own", "my"));
        assert_eq!(
            Variant { name: "a-one".into(), platform: "a".into(), runtime: "one".into(), ..like.clone() },
            catalog.variant("a-one").unwrap()
        );
        let (groups, fragments) = (["@all".into(), "dns".into()], ["@tail".into()]);
        let lists = Composition::Lists { groups: &groups, fragments: &fragments };
        let own = catalog.compose("my-own", &lists).unwrap();
        assert_eq!(own.groups, ["motd", "dns"]);
        assert_eq!(own.settings, serde_json::json!({"list": [2, 3]}));

        let wrong = ["bass".to_owned()];
        let lists = Composition::Lists { groups: &groups, fragments: &wrong };
        let why = catalog.compose("my-own", &lists).unwrap_err().to_string();
        assert!(why.starts_with("the recipe of 'my-own' names the fragment 'bass', which"), "{why}");
        assert!(catalog.compose("my-own", &Composition::Like("a-two")).is_err());
    }

    #[test]
    fn faulty_recipes_are_refused() {
        let rows = [
            ("x = 1", "unknown field `x`"),
            ("recipe = [{ variants = ['a-b'], groups = [] }]", "missing field `fragments`"),
            (
                "recipe = [{ variants = ['a-b', 'a-b'], groups = [], fragments = [] }]",
                "two recipes serve the variant 'a-b'",
            ),
            (
                "recipe = [{ variants = ['a-b'], groups = [], fragments = ['bass'] }]",
                "the recipe of 'a-b' names the fragment 'bass', which does not exist; did you mean 'base'?",
            ),
            (
                "groups = { common = [] }\nrecipe = [{ variants = ['a-b'], groups = ['@comon'], fragments = [] }]",
                "the recipe of 'a-b' includes '@comon', which does not exist; did you mean 'common'?",
            ),
            (
                "groups = { a = ['@b'], b = ['@a'] }\n\
                 recipe = [{ variants = ['a-b'], groups = ['@a'], fragments = [] }]",
                "the recipe of 'a-b' includes '@a', which includes itself",
            ),
        ];
        for (recipes, part) in rows {
            let why = why(&parse(recipes).unwrap_err());
            assert!(why.contains(part), "{recipes}: {why}");
        }
    }

    #[test]
    fn faulty_fragments_are_refused() {
        let rows =
            [("settings = ", "parse the fragment 'f'"), ("setting.a = 1", "fragment 'f' holds 'setting'")];
        for (text, part) in rows {
            let why = why(&Catalog::parse("", [("f", text)]).unwrap_err());
            assert!(why.contains(part), "{text}: {why}");
        }
    }

    #[test]
    fn fragments_that_disagree_on_a_type_are_both_named() {
        let catalog =
            parse("recipe = [{ variants = ['a-b'], groups = [], fragments = ['base', 'other', 'clash'] }]")
                .unwrap();
        assert_eq!(
            why(&catalog.variant("a-b").unwrap_err()),
            "compose the variant 'a-b': merge the default 'settings.motd': fragment 'base' has a text, fragment \
             'clash' has an integer"
        );
    }

    #[test]
    fn a_fault_in_a_composed_variant_is_named_with_its_place() {
        let fragments = [("f", "[services.motd]\nconfiguration-files = []\nrestart-commandz = []")];
        let recipes = "recipe = [{ variants = ['a-b'], groups = [], fragments = ['f'] }]";
        let catalog = Catalog::parse(recipes, fragments).unwrap();
        let why = why(&catalog.variant("a-b").unwrap_err());
        assert!(why.contains("restart-commandz") && why.contains("services.motd"), "{why}");
    }

    #[test]
    fn an_unknown_variant_is_answered_with_the_known_ones() {
        let why = Catalog::embedded().variant("metal-deb").unwrap_err().to_string();
        assert!(
            why.starts_with(
                "there is no variant 'metal-deb'; did you mean 'metal-dev'? (the variants are aws-dev, "
            ),
            "{why}"
        );
        assert!(why.ends_with(", vmware-k8s-1.28)"), "{why}");
    }
}
