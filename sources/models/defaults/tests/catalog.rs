//! The catalog of this release: every variant composes, prints and is read back.

use defaults::{Catalog, Variant};

#[test]
fn every_variant_prints_and_is_read_back_the_same() {
    let catalog = Catalog::embedded();
    for name in catalog.variants() {
        let variant = catalog.variant(name).unwrap();
        let text = variant.to_toml();
        assert_eq!(Variant::parse(&text).unwrap(), variant, "{name}");
        assert_eq!(variant.to_toml(), text, "{name}");
    }
}
