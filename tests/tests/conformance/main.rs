//! The contract, clause by clause. Each guest of `tests/guests/examples` breaks or shows one rule and has a
//! test of its name here. A guest without a test does not compile. Every run has a healthy neighbour whose
//! output must be complete.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod by_field;
mod by_field_rows;
mod filter;
mod flat_map;
mod granted_folder;
mod key_by;
mod map;
mod process;
mod sink;
mod source;
mod window;

include!(concat!(env!("OUT_DIR"), "/each_guest.rs"));

/// Fails to compile if a guest has no test.
macro_rules! has_a_test {
    ($name:ident) => {
        #[allow(unused_imports, reason = "only that it is there matters")]
        use self::$name as _;
    };
}
pub(crate) use has_a_test;

/// Tests of guests that misbehave on the poison alone: name, code, and a part of the message.
macro_rules! poisonous {
    ($kind:ident { $($name:ident: $code:ident, $part:literal;)* }) => {
        $(#[test]
        fn $name() {
            let guest = sage_tests::guest(concat!(stringify!($kind), "_", stringify!($name)));
            sage_tests::poison::costs_that_record_alone(&guest, sage_tests::Codes::$code, $part);
        })*
    };
}
pub(crate) use poisonous;

#[test]
fn the_codes_are_the_ones_that_users_were_told() {
    let mut told = sage_tests::ALL_CODES.to_vec();
    let mut are = sage_sandbox::FailureCode::ALL.map(|code| code.name()).to_vec();
    told.sort_unstable();
    are.sort_unstable();
    assert_eq!(are, told, "codes are stable: adding one needs a word in the documentation, renaming one is breaking");
}
