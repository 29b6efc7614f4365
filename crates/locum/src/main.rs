//! `locum`: the program is [`locum::command`], its command line [`locum::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    locum::command::main(std::env::args_os())
}
