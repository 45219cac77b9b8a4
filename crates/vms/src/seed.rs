//! What cloud-init in the guest is told at first boot (NoCloud), as a disc.
//!
//! JSON is YAML: quoting is the serializer's business, and no value of a person's can become
//! structure.

use std::path::Path;

use kinglet_disk::seed::{SeedError, SeedFiles, write_iso};
use kinglet_model::vm::Seed;
use kinglet_model::{Id, Name};
use serde_json::{Value, json};

/// Writes the seed of the VM `id` called `name`.
pub(crate) fn write(path: &Path, id: Id, name: &Name, seed: &Seed) -> Result<(), SeedError> {
    let meta = meta_data(id, name, seed).to_string();
    let user = user_data(seed);
    write_iso(
        path,
        &SeedFiles {
            meta_data: meta.as_bytes(),
            user_data: user.as_bytes(),
            network_config: None,
        },
    )
}

fn meta_data(id: Id, name: &Name, seed: &Seed) -> Value {
    let hostname = seed.hostname.as_ref().unwrap_or(name);
    json!({ "instance-id": id.to_string(), "local-hostname": hostname.as_str() })
}

fn user_data(seed: &Seed) -> String {
    if let Some(own) = &seed.user_data {
        return own.clone();
    }
    let mut config = json!({});
    match &seed.user {
        Some(user) => {
            config["users"] = json!([{
                "name": user,
                "sudo": "ALL=(ALL) NOPASSWD:ALL",
                "shell": "/bin/bash",
                "lock_passwd": true,
                "ssh_authorized_keys": seed.ssh_keys,
            }]);
        }
        None if !seed.ssh_keys.is_empty() => {
            config["ssh_authorized_keys"] = json!(seed.ssh_keys);
        }
        None => {}
    }
    format!("#cloud-config\n{config}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seed_values_stay_values() {
        let seed = Seed {
            user: Some("ann".to_owned()),
            ssh_keys: vec!["ssh-ed25519 AAAA \"x\": [y] # z".to_owned()],
            ..Seed::default()
        };
        let text = user_data(&seed);
        let json: Value =
            serde_json::from_str(text.strip_prefix("#cloud-config\n").unwrap()).unwrap();
        assert_eq!(json["users"][0]["name"], "ann");
        assert_eq!(
            json["users"][0]["ssh_authorized_keys"][0],
            seed.ssh_keys[0].as_str()
        );
    }

    #[test]
    fn own_user_data_is_given_as_it_is_and_the_name_is_the_host_name() {
        let seed = Seed {
            user_data: Some("#!/bin/sh\necho hi\n".to_owned()),
            ..Seed::default()
        };
        assert_eq!(user_data(&seed), "#!/bin/sh\necho hi\n");
        let id = Id::generate();
        let meta = meta_data(id, &"web-1".parse().unwrap(), &seed);
        assert_eq!(
            meta,
            json!({ "instance-id": id.to_string(), "local-hostname": "web-1" })
        );
    }
}
