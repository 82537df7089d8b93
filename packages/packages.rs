//! The library of every package crate: nothing. What counts is its build script, which makes the RPMs.
