//! The command line as people see it: any change of a flag or of a help text is a change of a
//! snapshot.

use super::*;

fn help(path: &[&str]) -> String {
    let mut command = definition();
    command.build();
    let mut at = &mut command;
    for name in path {
        at = at.find_subcommand_mut(name).unwrap();
    }
    at.clone().term_width(100).render_long_help().to_string()
}

#[test]
fn the_definition_is_consistent() {
    definition().debug_assert();
}

#[test]
fn help_of_the_program() {
    insta::assert_snapshot!(help(&[]));
}

#[test]
fn help_of_run() {
    insta::assert_snapshot!(help(&["run"]));
}

#[test]
fn help_of_serve() {
    insta::assert_snapshot!(help(&["serve"]));
}

#[test]
fn help_of_vm() {
    insta::assert_snapshot!(help(&["vm"]));
}

#[test]
fn help_of_image() {
    insta::assert_snapshot!(help(&["image"]));
}

#[test]
fn every_verb_and_flag_says_what_it_is() {
    fn walk(command: &clap::Command) {
        assert!(
            command.get_about().is_some(),
            "{} has no help",
            command.get_name()
        );
        for argument in command.get_arguments() {
            assert!(
                argument.get_help().is_some(),
                "{} {} has no help",
                command.get_name(),
                argument.get_id()
            );
        }
        command
            .get_subcommands()
            .filter(|inner| !inner.is_hide_set())
            .for_each(walk);
    }
    let mut command = definition();
    command.build();
    walk(&command);
}
