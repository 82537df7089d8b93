//! Whatever bytes a migration holds, reading it never panics; a document that is accepted is published as it is read,
//! and runs forward and backward on any settings. Whatever files a migration program leaves, each is a setting whose
//! own file it is, or none.
#![no_main]

use libfuzzer_sys::fuzz_target;
use migrations::{Document, Layer, Removed, State, layout};
use serde_json::Value;
use std::str::from_utf8;

fuzz_target!(|content: &[u8]| {
    if let Ok(document) = Document::from_target(content) {
        accepted(&document);
    }
    let Ok(text) = from_utf8(content) else { return };
    if let Ok(document) = Document::from_toml(text) {
        accepted(&document);
    }
    // The first line as a path, the rest as a content.
    let (path, value) = text.split_once('\n').unwrap_or((text, ""));
    if let Some(key) = layout::key_of(path) {
        assert_eq!(layout::path_of(&key), path, "the file of another key");
    }
    if let Ok(value) = layout::value_of(value.as_bytes()) {
        assert_eq!(layout::value_of(layout::content_of(&value).as_bytes()), Ok(value));
    }
});

fn accepted(document: &Document) {
    assert_eq!(Document::from_target(&document.to_target()).as_ref(), Ok(document));
    let mut state = State::default();
    for (number, layer) in (0_u8..).zip(Layer::ALL) {
        for key in ["settings.a", "settings.a.b", "settings.\"a.b\".c", "settings.b.a"] {
            let key = key.parse().expect("a key");
            state.layer_mut(layer).insert(key, Value::from(number));
        }
    }
    let Ok(removed) = document.forward(&mut state) else { return };
    let mut other = state.clone();
    // Names that are too long one way may be the other way, too; nothing else is refused.
    drop(document.backward(&mut state, &removed));
    drop(document.backward(&mut other, &Removed::default()));
}
