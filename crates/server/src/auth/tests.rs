//! Tokens and sessions by themselves; over the wire they are tested in `tests/`.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use kinglet_registry::Registry;

use super::rate::Failures;
use super::*;

#[test]
fn one_time_token_is_good_once_and_not_when_too_old() {
    let tokens = OneTimeTokens::new(Duration::from_secs(600));
    let token = tokens.issue();
    assert_eq!(token.len(), 64);
    assert_eq!(tokens.redeem(&token[1..]), Verdict::Wrong);
    assert_eq!(tokens.redeem(&token), Verdict::Good);
    assert_eq!(tokens.redeem(&token), Verdict::Wrong);
    let expired = OneTimeTokens::new(Duration::ZERO);
    let token = expired.issue();
    assert_eq!(expired.redeem(&token), Verdict::Wrong);
}

#[test]
fn one_time_tokens_are_few_and_the_oldest_gives_way() {
    let tokens = OneTimeTokens::new(Duration::from_secs(600));
    let given: Vec<_> = (0..17).map(|_| tokens.issue()).collect();
    assert_eq!(tokens.redeem(&given[0]), Verdict::Wrong);
    assert_eq!(tokens.redeem(&given[1]), Verdict::Good);
    assert_eq!(tokens.redeem(&given[16]), Verdict::Good);
}

#[test]
fn guessing_is_stopped_even_for_the_right_token_then() {
    let tokens = OneTimeTokens::new(Duration::from_secs(600));
    let token = tokens.issue();
    let verdicts: Vec<_> = (0..20)
        .map(|n| tokens.redeem(&format!("guess {n}")))
        .collect();
    assert_eq!(verdicts[9], Verdict::Wrong);
    assert_eq!(verdicts[19], Verdict::TooMany);
    assert_eq!(tokens.redeem(&token), Verdict::TooMany);
}

#[test]
fn failures_are_forgiven_with_time() {
    let start = Instant::now();
    let mut failures = Failures::new(start);
    for _ in 0..10 {
        assert!(failures.allow(start));
        failures.count();
    }
    assert!(!failures.allow(start));
    assert!(!failures.allow(start + Duration::from_secs(5)));
    assert!(failures.allow(start + Duration::from_secs(7)));
}

#[test]
fn token_file_is_made_once_for_its_owner_and_refused_when_others_can_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    Bearer::open(&path).unwrap();
    let token = std::fs::read_to_string(&path).unwrap();
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let bearer = Bearer::open(&path).unwrap();
    assert!(bearer.is(token.trim()) && !bearer.is("") && !bearer.is(&token.trim()[1..]));
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
    let refused = Bearer::open(&path).err().unwrap().to_string();
    assert!(refused.contains("chmod 600"), "{refused}");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::write(&path, "short\n").unwrap();
    assert!(Bearer::open(&path).is_err());
}

#[tokio::test]
async fn session_lives_in_the_registry_without_its_secret_and_is_bounded() {
    let registry = Registry::in_memory();
    let sessions = Sessions::new(registry.clone(), Duration::from_secs(3600));
    let first = sessions.open().await.unwrap();
    assert!(sessions.renew(&first).await.unwrap());
    let page = registry.range("", None, 1000).await.unwrap();
    for entry in &page.entries {
        assert!(!entry.key.as_str().contains(&first));
        assert!(!String::from_utf8_lossy(&entry.value).contains(&first));
    }
    let again = Sessions::new(registry.clone(), Duration::from_secs(3600));
    assert!(again.renew(&first).await.unwrap());
    for _ in 0..40 {
        sessions.open().await.unwrap();
    }
    assert!(!sessions.renew(&first).await.unwrap());
    assert_eq!(registry.count("/sessions/").await.unwrap(), 32);
    let last = sessions.open().await.unwrap();
    sessions.close(&last).await.unwrap();
    assert!(!sessions.renew(&last).await.unwrap());
}
