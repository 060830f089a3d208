use super::*;

fn given(location: &str) -> (String, String) {
    ("mail_location".to_owned(), location.to_owned())
}

fn parse(words: &str) -> Result<Arguments, clap::Error> {
    Arguments::try_parse_from(words.split(' '))
}

#[test]
fn the_definition_is_consistent() {
    Line::command().debug_assert();
}

#[test]
fn options_stand_before_or_after_the_command() {
    for words in [
        "dsync -v -o mail_location=maildir:/a backup maildir:/b",
        "dsync -vomail_location=maildir:/a backup maildir:/b",
        "dsync backup -v -o mail_location=maildir:/a maildir:/b",
        "dsync -v -o mail_location=maildir:/c backup -o mail_location=maildir:/a -- maildir:/b",
    ] {
        let arguments = parse(words).unwrap();
        assert_eq!(arguments.settings().last(), Some(&given("maildir:/a")), "{words}");
        assert_eq!(arguments.verbosity(), Verbosity::Verbose, "{words}");
        let Command::Backup(run) = &arguments.command else { panic!("{words}") };
        assert_eq!(run.location, ["maildir:/b"], "{words}");
    }
}

#[test]
fn commands_take_options_of_their_own() {
    let arguments = parse("dsync mirror -1 -Rf -m a/% maildir:/b").unwrap();
    let Command::Mirror(Mirror { one_way: true, run }) = &arguments.command else { panic!("no mirror") };
    assert!(run.options.reverse);
    assert!(run.options.full && run.options.mailboxes.wanted().is_some());
    let reordered = parse("dsync -1 -Rfm a/% sync maildir:/b").unwrap();
    let Command::Mirror(Mirror { one_way: true, run: other }) = &reordered.command else { panic!("no mirror") };
    assert_eq!(format!("{other:?}"), format!("{run:?}"));
    let remote = parse("dsync mirror ssh -f host dsync").unwrap();
    let Command::Mirror(Mirror { run, .. }) = &remote.command else { panic!("no mirror") };
    assert_eq!((run.location.len(), run.options.full), (4, false), "what follows the location belongs to it");
    assert!(parse("dsync backup -1 maildir:/b").is_err(), "a backup has one direction only");
    let restoring = parse("dsync backup -R --restore mdbox:/b").unwrap();
    assert!(matches!(restoring.command, Command::Backup(run) if run.options.restore));
    for words in ["dsync mirror --restore a", "dsync mirror -1 --restore a", "dsync verify --restore a"] {
        assert!(parse(words).is_err(), "{words}: nothing is taken back");
    }
}

#[test]
fn a_host_is_no_option() {
    let location = |words: &str| match parse(words).unwrap().command {
        Command::Mirror(Mirror { run, .. }) | Command::Backup(run) => run.location,
        _ => panic!("{words}"),
    };
    assert_eq!(location("dsync -v mirror -f anna@host"), ["anna@host"]);
    assert_eq!(location("dsync mirror -- -host"), ["-host"], "that it is none is said later");
    assert_eq!(location("dsync mirror ssh -h host"), ["ssh", "-h", "host"]);
}

#[test]
fn the_name_of_the_program_may_be_the_command() {
    let words = |words: &str| with_command(words.split(' ').map(OsString::from).collect());
    assert_eq!(words("/usr/bin/dsync-server -u anna"), ["/usr/bin/dsync-server", "dsync-server", "-u", "anna"]);
    assert_eq!(words("dsync mirror x"), ["dsync", "mirror", "x"]);
    let arguments = Arguments::try_parse_from(words("dsync-server -U -u anna dsync-server")).unwrap();
    assert!(matches!(arguments.command, Command::Server(_)));
}

#[test]
fn settings_keep_their_order() {
    let arguments = parse("dsync -c file -o mail_location=a backup -o mail_location=b c").unwrap();
    assert_eq!(arguments.settings(), [given("a"), given("b")]);
    assert_eq!(arguments.configuration_file(), Some(Path::new("file")));
}

#[test]
fn the_alternative_character_is_one_that_names_can_have() {
    for words in ["dsync -C + backup a", "dsync backup -C+ a", "dsync backup --alt-char=+ a"] {
        let character = parse(words).unwrap().alternative_character();
        assert_eq!(character.map(AlternativeCharacter::get), Some('+'), "{words}");
    }
    for words in ["dsync -C / backup a", "dsync -C . backup a"] {
        assert!(parse(words).is_err(), "{words}");
    }
}

#[test]
fn options_of_old_scripts_mean_nothing() {
    let arguments = parse("dsync -kUL -i second -E mirror maildir:/b").unwrap();
    assert!(matches!(arguments.command, Command::Mirror(_)));
}

#[test]
fn options_of_a_run_are_all_in_the_help() {
    let help = Line::command().render_long_help().to_string();
    for option in [
        "-1",
        "-R",
        "-f",
        "-m",
        "-g",
        "-x",
        "-n",
        "-N",
        "-a",
        "-t",
        "-e",
        "-I",
        "-O",
        "-s",
        "-l",
        "-T",
        "-r",
        "-P",
        "-d",
        "-q",
        "-D",
        "-v",
        "--strict",
        "--dry-run",
        "--json",
        "--allow-empty-source",
        "--restore",
        "--no-bodies",
        "--messages",
    ] {
        assert!(help.lines().any(|line| line.trim_start().starts_with(option)), "{option} is not in the help");
    }
    for option in ["-U", "-E", "-i", "-k", "-L"] {
        assert!(!help.lines().any(|line| line.trim_start().starts_with(option)), "{option} is in the help");
    }
}

#[test]
fn mistakes_are_told_in_one_line() {
    for (words, told) in [
        ("dsync", "the command is missing"),
        ("dsync nonsense a", "there is no command \"nonsense\"; the commands are mirror, backup,"),
        ("dsync -Z backup a", "there is no option -Z; see"),
        ("dsync --verbos backup a", "there is no option --verbos; --verbose is similar"),
        ("dsync -o nothing backup a", "-o \"nothing\": write it as name=value"),
        ("dsync -T x backup a", "-T (--timeout) \"x\": write a number of seconds"),
        ("dsync backup -m", "-m (--mailbox) needs a value"),
        ("dsync --full-sync=3 backup a", "-f (--full-sync) takes no value"),
        ("dsync -q -v backup a", "-q (--quiet) cannot be used with -v (--verbose)"),
        ("dsync backup", "LOCATION2 is missing"),
    ] {
        let text = mistake::describe(&parse(words).unwrap_err(), &Line::command());
        assert!(text.starts_with(told) && !text.contains('\n'), "{words}: {text}");
    }
}

#[test]
fn a_host_is_no_call_for_help() {
    let misread = |words: &str| mistake::misread(words.split(' ').map(std::ffi::OsStr::new));
    assert!(misread("dsync backup -host").is_some_and(|text| text.contains("-host")));
    assert!(misread("dsync -Version backup a").is_some());
    for words in ["dsync -h", "dsync --help", "dsync -vh", "dsync -V backup a-h"] {
        assert_eq!(misread(words), None, "{words}");
    }
}

#[test]
fn what_is_incomplete_is_refused() {
    assert!(parse("dsync purge").is_ok());
    assert!(parse("dsync server").is_ok() && parse("dsync dsync-server server").is_ok());
    assert!(parse("dsync server maildir:/a").is_err());
    for words in [
        "dsync",
        "dsync purge mdbox:/a",
        "dsync backup",
        "dsync -o nothing backup a",
        "dsync -Z backup a",
        "dsync nonsense a",
    ] {
        assert!(parse(words).is_err(), "{words}");
    }
}
