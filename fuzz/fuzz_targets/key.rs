//! A key never panics the parser, and one that is accepted prints back to itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use settings::Key;

fuzz_target!(|text: &str| {
    let Ok(key) = text.parse::<Key>() else { return };
    let printed = key.to_string();
    assert_eq!(printed.parse::<Key>().as_ref(), Ok(&key), "{text:?} is printed as {printed:?}");

    let rebuilt = Key::from_segments(key.segments());
    assert_eq!(rebuilt.as_ref(), Ok(&key), "{text:?} has other segments than its key");
});
