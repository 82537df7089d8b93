//! The library of every variant crate: nothing. What counts is its build script, which makes the image.
