//! A wrong operator does not compile, and the message shows the code to write. `TRYBUILD=overwrite cargo test
//! -p sage-guest --test ui` accepts new messages.
#![allow(missing_docs)]

#[test]
fn a_wrong_signature_says_what_to_write() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/*.rs");
}
