//! The program as its users meet it: words in, words and exit codes out.

mod errors;
mod help;
mod program;
mod running;
