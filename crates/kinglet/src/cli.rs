//! The command line: its flags and its verbs. Help, man pages and completion all come from here.

use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{ArgAction, Args, CommandFactory, Parser, ValueEnum};

use crate::command::Command;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const AFTER: &str = "\
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 refused by the object's state, 4 not found,
5 the daemon cannot be reached.";

/// Turns this machine into a host for virtual machines
#[derive(Debug, Parser)]
#[command(
    name = "kinglet",
    version,
    styles = STYLES,
    after_help = AFTER,
    max_term_width = 100,
    propagate_version = true,
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Flags that every verb has.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Unix socket of the daemon
    #[arg(
        long,
        global = true,
        env = "KINGLET_SOCKET",
        value_name = "PATH",
        hide_env_values = true
    )]
    pub socket: Option<PathBuf>,
    /// Address of a remote daemon, such as http://127.0.0.1:7480
    #[arg(
        long,
        global = true,
        env = "KINGLET_HOST",
        value_name = "URL",
        hide_env_values = true
    )]
    pub host: Option<String>,
    /// File with the remote daemon's token
    #[arg(
        long,
        global = true,
        env = "KINGLET_TOKEN_FILE",
        value_name = "FILE",
        hide_env_values = true
    )]
    pub token_file: Option<PathBuf>,
    /// Print the API's own objects as JSON
    #[arg(long, global = true, action = ArgAction::SetTrue)]
    pub json: bool,
    /// Print results only: no progress, no hints
    #[arg(long, short, global = true, action = ArgAction::SetTrue)]
    pub quiet: bool,
    /// When to use colours
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: ColorWhen,
}

/// When to use colours. `NO_COLOR` in the environment means never where nothing else is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ColorWhen {
    /// Where the output is a terminal
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The whole command line as data, for help, man pages and completion.
pub fn definition() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests;
