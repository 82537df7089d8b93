//! The kernel of our own configuration, in a virtual machine: it reads boot configuration, which Debian's does not.
//! `./make test-own-kernel` builds the image and runs this test.
#![allow(clippy::unwrap_used, reason = "tests may panic")]

use hostlab::vm::{Firmware, Machine, Spec, choose_accelerator};
use serde_json::json;
use std::path::Path;
use tests::booted::Booted;
use tests::built::BuiltImage;
use wire::routes;

#[test]
#[ignore = "needs a built image"]
fn the_kernel_is_told_what_the_settings_say_and_the_host_comes_up() {
    let image = BuiltImage::of_environment();
    assert_eq!(image.said("variant"), "metal-dev-own");
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("own-kernel");
    let spec = Spec { firmware: Firmware::Uefi, is_fresh: true, ..Spec::new(&dir, image.disk()) };
    let spec = Spec { accelerator: choose_accelerator(), ..spec };
    let booted = Booted::after(Machine::start(&spec).unwrap(), "own kernel", 0, 0);
    let told = "visco.told=yes";
    assert_eq!(booted.lines(told), Vec::<String>::new());
    booted.set(&json!({"boot": {"kernel": {"visco.told": ["yes"]}}}));

    let booted = booted.reboot();
    let lines = booted.lines(told);
    assert!(lines.iter().any(|line| line.contains("Kernel command line: ")), "{lines:?}");
    assert_eq!(booted.get(routes::SETTINGS)["boot"]["kernel"], json!({"visco.told": ["yes"]}));
}
