//! The operators of the benchmark that take records by field are the examples of this package.
