#!/bin/sh
# A RUSTC_WRAPPER that compiles the packages of this repository with $SAGE_COVERAGE, and their dependencies
# without it.
compiler=$1
shift
case " $* " in
*" --crate-name build_script_"*) ;;
*" --crate-name sage_"* | *" --crate-name batch_wire "* | *" --crate-name answer_wire "* | *" --crate-name message "* | \
    *" --crate-name state_changes "* | *" --crate-name tensor_wire "*)
    # shellcheck disable=SC2086 # flags are words
    exec "$compiler" "$@" $SAGE_COVERAGE
    ;;
esac
exec "$compiler" "$@"
