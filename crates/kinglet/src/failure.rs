//! How a verb fails: a sentence for a person, and the exit code for scripts.

use std::fmt;
use std::process::ExitCode;

use kinglet_client::ClientError;
use kinglet_model::Problem;
use kinglet_model::problem::ProblemKind;

/// The exit codes of design: each means the same for every verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// It was tried and failed.
    Failed = 1,
    /// What was asked makes no sense.
    Usage = 2,
    /// The object's state does not allow it now.
    Refused = 3,
    /// There is no such object.
    NotFound = 4,
    /// The daemon cannot be reached.
    Unreachable = 5,
}

/// Why a verb failed.
#[derive(Debug)]
pub struct Failure {
    code: Code,
    message: String,
    /// What could be done instead, where the daemon said so.
    actions: Vec<String>,
}

/// What a verb comes to.
pub type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// A failure with this code.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            actions: Vec::new(),
        }
    }

    /// It was tried and failed.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Code::Failed, message)
    }

    /// What was asked makes no sense.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Code::Usage, message)
    }

    /// What kind of failure it is.
    pub const fn code(&self) -> Code {
        self.code
    }

    /// The code for scripts.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code as u8)
    }

    /// What is possible instead.
    pub fn actions(&self) -> &[String] {
        &self.actions
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let code = match problem.kind {
            ProblemKind::Invalid => Code::Usage,
            ProblemKind::Refused | ProblemKind::Changed => Code::Refused,
            ProblemKind::NotFound => Code::NotFound,
            ProblemKind::Unauthenticated
            | ProblemKind::Forbidden
            | ProblemKind::TooLarge
            | ProblemKind::Lacking
            | ProblemKind::Internal => Code::Failed,
        };
        Self {
            code,
            actions: problem
                .actions
                .into_iter()
                .filter(|action| action.allowed)
                .map(|action| action.name)
                .collect(),
            message: problem.detail,
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Problem(problem) => problem.into(),
            ClientError::Unreachable { .. } => Self::new(Code::Unreachable, error.to_string()),
            ClientError::Protocol { .. } => Self::failed(error.to_string()),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::failed(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_problem_has_its_exit_code() {
        for (kind, code) in [
            (ProblemKind::Invalid, 2),
            (ProblemKind::Unauthenticated, 1),
            (ProblemKind::Forbidden, 1),
            (ProblemKind::NotFound, 4),
            (ProblemKind::Refused, 3),
            (ProblemKind::Changed, 3),
            (ProblemKind::TooLarge, 1),
            (ProblemKind::Lacking, 1),
            (ProblemKind::Internal, 1),
        ] {
            let failure = Failure::from(Problem::new(kind, "x", "A sentence."));
            assert_eq!(failure.code as u8, code, "{kind:?}");
        }
    }
}
