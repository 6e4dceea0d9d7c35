//! What `kyanite env` exports: from then on the Azure tools of that shell speak to this stack.
//!
//! Each runtime has its own name for the file of trusted certificates. The file holds the stack's CA alone: through the
//! gateway there is nobody else to speak to, every other name is refused there.

use std::collections::BTreeMap;
use std::path::Path;

/// What the exports are made from.
pub(super) struct Environment<'a> {
    pub(super) proxy: &'a str,
    pub(super) ca: &'a Path,
    pub(super) kubeconfig: Option<&'a Path>,
    pub(super) etcd: &'a [String],
    pub(super) tenant_id: String,
    pub(super) client_id: String,
    pub(super) client_secret: &'a str,
}

impl Environment<'_> {
    /// The variables by name.
    pub(super) fn variables(&self) -> BTreeMap<String, String> {
        let mut variables = BTreeMap::new();
        let mut set = |names: &[&str], value: &str| {
            variables.extend(names.iter().map(|name| ((*name).to_owned(), value.to_owned())));
        };
        // curl reads the proxy for plain HTTP in lower case only; others read upper case only.
        set(&["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"], self.proxy);
        // kubectl and etcdctl reach this machine directly.
        set(&["NO_PROXY", "no_proxy"], "localhost,127.0.0.1,::1");
        // OpenSSL and Go; Python's requests; curl; Node; the AWS-style and .NET tools read the first.
        let ca = self.ca.display().to_string();
        set(&["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"], &ca);
        set(&["AZURE_TENANT_ID"], &self.tenant_id);
        set(&["AZURE_CLIENT_ID"], &self.client_id);
        set(&["AZURE_CLIENT_SECRET"], self.client_secret);
        if let Some(kubeconfig) = self.kubeconfig {
            set(&["KUBECONFIG"], &kubeconfig.display().to_string());
        }
        if !self.etcd.is_empty() {
            set(&["ETCDCTL_API"], "3");
            set(&["ETCDCTL_ENDPOINTS"], &self.etcd.join(","));
        }
        variables
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_runtime_finds_its_variables() {
        let environment = Environment {
            proxy: "http://127.0.0.1:1",
            ca: Path::new("/run/ca.pem"),
            kubeconfig: Some(Path::new("/run/kubeconfig")),
            etcd: &["http://127.0.0.1:2".to_owned(), "http://127.0.0.1:3".to_owned()],
            tenant_id: "t".to_owned(),
            client_id: "c".to_owned(),
            client_secret: "s",
        };
        let lines: Vec<_> = environment.variables().iter().map(|(name, value)| format!("{name}={value}")).collect();
        insta::assert_snapshot!(lines.join("\n"));
    }
}
