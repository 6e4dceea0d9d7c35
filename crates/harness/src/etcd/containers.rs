//! etcd in containers of a Docker engine.
//!
//! Containers are marked with the stack they belong to. Dropping a cluster removes them; what a killed process leaves
//! is removed by the next start of the same user, who finds by the marks which stacks no longer run.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use futures::TryStreamExt as _;
use testcontainers::bollard::Docker;
use testcontainers::bollard::errors::Error as DockerError;
use testcontainers::bollard::models::{HostConfig, PortBinding};
use testcontainers::bollard::query_parameters::{
    CreateImageOptionsBuilder, ListContainersOptionsBuilder, ListNetworksOptionsBuilder, RemoveContainerOptionsBuilder,
};
use testcontainers::core::client::docker_client_instance;
use testcontainers::core::error::ClientError;
use testcontainers::core::{Mount, WaitFor};
use testcontainers::runners::AsyncRunner as _;
use testcontainers::{ContainerAsync, ContainerRequest, GenericImage, ImageExt as _, TestcontainersError};
use tokio::time::timeout;

use super::config::{EtcdConfig, LOCAL_IMAGE, OFFICIAL_IMAGE};
use super::error::{EngineError, EtcdError, StartError};
use super::health::{Wait, chain};
use super::layout::{Layout, Member, StoredBackend, common_arguments};
use super::processes::private_directory;
use crate::runtime::StackDir;

/// A cluster of containers. Dropping it removes them.
pub(super) struct Containers {
    docker: Docker,
    stack: String,
    layout: Layout,
    running: Vec<ContainerAsync<GenericImage>>,
}

impl Containers {
    /// Starts every member and waits until each answers. With `data`, that directory keeps the data; without it the
    /// data goes with the containers.
    pub(super) async fn start(
        docker: Docker,
        image: &str,
        config: &EtcdConfig,
        stack: &StackDir,
        data: Option<PathBuf>,
    ) -> Result<Self, EtcdError> {
        let directory = data.clone().unwrap_or_else(|| stack.path().join("etcd"));
        let layout = Layout::load_or_new(config, StoredBackend::Container, &directory)?;
        let entry = entry_of(&docker, image).await?;
        let mut cluster = Self { docker, stack: stack.id().to_owned(), layout, running: Vec::new() };
        let outcome = async {
            for attempt in 1.. {
                match cluster.run_all(image, &entry, stack, data.as_ref()).await {
                    Err(error) if attempt < PORT_ATTEMPTS && is_port_taken(&error) => {
                        cluster.remove().await;
                        for member in &mut cluster.layout.members {
                            let failed = |source| EtcdError::Data { path: directory.clone(), source };
                            member.move_to_free_ports().map_err(failed)?;
                        }
                    }
                    outcome => return outcome,
                }
            }
            Ok(())
        }
        .await;
        if let Err(error) = outcome {
            cluster.remove().await;
            return Err(error);
        }
        cluster.layout.save(&directory)?;
        Ok(cluster)
    }

    pub(super) fn endpoints(&self) -> Vec<String> {
        self.layout.endpoints()
    }

    /// Stops a member at once; its container and data stay.
    pub(super) async fn stop_member(&self, number: usize) -> Result<(), EtcdError> {
        let (member, container) = self.member(number)?;
        container.stop_with_timeout(Some(0)).await.map_err(|source| start_error(member, source))
    }

    /// Starts a member that was stopped, on its data.
    pub(super) async fn start_member(&self, number: usize) -> Result<(), EtcdError> {
        let (member, container) = self.member(number)?;
        container.start().await.map_err(|source| start_error(member, source))
    }

    /// Removes the containers and their network, also those that an aborted start left.
    pub(super) async fn remove(&mut self) {
        for container in self.running.drain(..) {
            if let Err(error) = container.rm().await {
                tracing::warn!(error = %chain(&error), "cannot remove an etcd container");
            }
        }
        remove_marked(&self.docker, |labels| labels.get(STACK_LABEL) == Some(&self.stack)).await;
    }

    async fn run_all(
        &mut self,
        image: &str,
        entry: &[String],
        stack: &StackDir,
        data: Option<&PathBuf>,
    ) -> Result<(), EtcdError> {
        for member in &self.layout.members {
            let request = self.request(member, image, entry, stack, data)?;
            let container = request.start().await.map_err(|source| start_error(member, source))?;
            self.running.push(container);
        }
        for number in 0..self.running.len() {
            self.wait(number).await?;
        }
        Ok(())
    }

    fn request(
        &self,
        member: &Member,
        image: &str,
        entry: &[String],
        stack: &StackDir,
        data: Option<&PathBuf>,
    ) -> Result<ContainerRequest<GenericImage>, EtcdError> {
        let (name, tag) = split_image(image);
        let mut command = entry.to_vec();
        command.extend(arguments(&self.layout, member));
        let bindings = HashMap::from([(
            format!("{CLIENT_PORT}/tcp"),
            Some(vec![PortBinding {
                host_ip: Some("127.0.0.1".to_owned()),
                host_port: Some(member.client_port.to_string()),
            }]),
        )]);
        let mut request = GenericImage::new(name, tag)
            .with_wait_for(WaitFor::Nothing)
            .with_container_name(container_name(&self.layout, member))
            .with_cmd(command)
            // Not as an option: etcd refuses one beside the variable of the same name that an image may set.
            .with_env_var("ETCD_DATA_DIR", DATA)
            .with_startup_timeout(READY_WITHIN)
            .with_labels([(STACK_LABEL, stack.id()), (HOST_LABEL, stack.base().host_id())])
            // testcontainers publishes on every interface of the machine and on a port that changes when a member is
            // stopped and started; an etcd without a password belongs on loopback, and a member keeps its address.
            .with_host_config_modifier(move |host: &mut HostConfig| {
                host.publish_all_ports = Some(false);
                host.port_bindings = Some(bindings.clone());
            });
        if self.layout.members.len() > 1 {
            request = request.with_network(&self.layout.cluster);
        }
        if let Some(directory) = data {
            let path = member.data(directory);
            private_directory(&path).map_err(|source| EtcdError::Data { path: path.clone(), source })?;
            let owner = format!("{}:{}", nix::unistd::geteuid(), nix::unistd::getegid());
            request = request.with_mount(Mount::bind_mount(path.display().to_string(), DATA)).with_user(owner);
        }
        Ok(request)
    }

    /// Waits until a member answers.
    pub(super) async fn wait(&self, number: usize) -> Result<(), EtcdError> {
        let (member, container) = self.member(number)?;
        let mut wait = Wait::new(member.endpoint(), READY_WITHIN);
        loop {
            if !container.is_running().await.map_err(|source| start_error(member, source))? {
                return Err(EtcdError::Exited { member: member.name.clone(), log: last_words(container).await });
            }
            if wait.look().await? {
                return Ok(());
            }
        }
    }

    fn member(&self, number: usize) -> Result<(&Member, &ContainerAsync<GenericImage>), EtcdError> {
        let found = self.layout.members.get(number).zip(self.running.get(number));
        found.ok_or(EtcdError::Member { member: number, reason: "no such member" })
    }
}

impl fmt::Debug for Containers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Containers").field("layout", &self.layout).finish_non_exhaustive()
    }
}

/// The engine, if it answers.
pub(super) async fn engine() -> Result<Docker, EngineError> {
    let docker = docker_client_instance().await.map_err(EngineError::Client)?;
    match timeout(PING_TIMEOUT, docker.ping()).await {
        Ok(Ok(_)) => Ok(docker),
        Ok(Err(error)) => Err(EngineError::Api(error)),
        Err(_) => Err(EngineError::Silent(PING_TIMEOUT)),
    }
}

/// Version of the Docker engine, if one answers.
pub(crate) async fn docker_version() -> Result<String, EngineError> {
    let version = engine().await?.version().await.map_err(EngineError::Api)?;
    Ok(version.version.unwrap_or_else(|| "of unknown version".to_owned()))
}

/// The image that a stack would run, and whether the engine has it already.
pub(crate) async fn image_for(named: Option<&str>) -> Result<(String, bool), EngineError> {
    choose_image(&engine().await?, named).await.map_err(EngineError::Api)
}

pub(super) async fn choose_image(docker: &Docker, named: Option<&str>) -> Result<(String, bool), DockerError> {
    let candidates: &[&str] = match named {
        Some(image) => &[image],
        None => &[LOCAL_IMAGE, OFFICIAL_IMAGE],
    };
    for image in candidates {
        if is_present(docker, image).await? {
            return Ok(((*image).to_owned(), true));
        }
    }
    Ok((named.unwrap_or(OFFICIAL_IMAGE).to_owned(), false))
}

/// Pulls `image`.
pub(super) async fn pull(docker: &Docker, image: &str) -> Result<(), DockerError> {
    let (name, tag) = split_image(image);
    let options = CreateImageOptionsBuilder::new().from_image(name).tag(tag).build();
    docker.create_image(Some(options), None, None).try_for_each(|_| async { Ok(()) }).await
}

/// Removes the containers of this user's stacks that no longer run.
pub(super) async fn sweep(docker: &Docker, stack: &StackDir) {
    let host = stack.base().host_id();
    let alive = stack.base().alive();
    let is_stale = |labels: &HashMap<String, String>| {
        labels.get(HOST_LABEL).is_some_and(|of| of == host)
            && labels.get(STACK_LABEL).is_some_and(|of| !alive.contains(of))
    };
    remove_marked(docker, is_stale).await;
}

/// Removes containers by their marks, and the networks of clusters that have no container left.
async fn remove_marked(docker: &Docker, is_meant: impl Fn(&HashMap<String, String>) -> bool) {
    let options = ListContainersOptionsBuilder::new().all(true).build();
    let listed = docker.list_containers(Some(options)).await.inspect_err(warn_unremoved).unwrap_or_default();
    let mut networks = Vec::new();
    for container in listed {
        let labels = container.labels.unwrap_or_default();
        let (true, Some(id)) = (is_meant(&labels), container.id) else { continue };
        let settings = container.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
        networks.extend(settings.into_keys().filter(|name| name.starts_with(NETWORK_PREFIX)));
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        match docker.remove_container(&id, Some(options)).await {
            Ok(()) => tracing::debug!(id, "removed a container that was left behind"),
            Err(error) => warn_unremoved(&error),
        }
    }
    networks.sort();
    networks.dedup();
    for network in networks {
        let options =
            ListNetworksOptionsBuilder::new().filters(&HashMap::from([("name", vec![network.as_str()])])).build();
        let exists = docker.list_networks(Some(options)).await.is_ok_and(|found| !found.is_empty());
        if exists && let Err(error) = docker.remove_network(&network).await {
            warn_unremoved(&error);
        }
    }
}

fn warn_unremoved(error: &DockerError) {
    tracing::warn!(error = %chain(error), "cannot remove what a stack left in the Docker engine");
}

async fn is_present(docker: &Docker, image: &str) -> Result<bool, DockerError> {
    match docker.inspect_image(image).await {
        Ok(_) => Ok(true),
        Err(DockerError::DockerResponseServerError { status_code: 404, .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// What must stand before etcd's options: nothing if the image's entry point is etcd itself, else its own command.
/// The etcd project's image has no entry point.
async fn entry_of(docker: &Docker, image: &str) -> Result<Vec<String>, EtcdError> {
    let failed = |source| EtcdError::Image { image: image.to_owned(), source };
    let config = docker.inspect_image(image).await.map_err(failed)?.config.unwrap_or_default();
    if config.entrypoint.is_some_and(|entry| !entry.is_empty()) {
        return Ok(Vec::new());
    }
    let program = config.cmd.and_then(|command| command.into_iter().next()).unwrap_or_else(|| "etcd".to_owned());
    Ok(vec![program])
}

async fn last_words(container: &ContainerAsync<GenericImage>) -> String {
    let log = container.stderr_to_vec().await.unwrap_or_default();
    let text = String::from_utf8_lossy(&log);
    text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("(none)").trim().to_owned()
}

fn arguments(layout: &Layout, member: &Member) -> Vec<String> {
    let peer_url = |member: &Member| {
        let host = if layout.members.len() == 1 { "127.0.0.1".to_owned() } else { container_name(layout, member) };
        format!("http://{host}:{PEER_PORT}")
    };
    let mut arguments = common_arguments(layout, member);
    let own = [
        ("--listen-client-urls", format!("http://0.0.0.0:{CLIENT_PORT}")),
        ("--advertise-client-urls", member.endpoint()),
        ("--listen-peer-urls", format!("http://0.0.0.0:{PEER_PORT}")),
        ("--initial-advertise-peer-urls", peer_url(member)),
        ("--initial-cluster", layout.initial_cluster(peer_url)),
    ];
    arguments.extend(own.into_iter().flat_map(|(name, value)| [name.to_owned(), value]));
    arguments
}

fn container_name(layout: &Layout, member: &Member) -> String {
    format!("{}-{}", layout.cluster, member.name)
}

/// `registry:5000/name:tag` into name and tag; without a tag it is `latest`, as Docker has it.
fn split_image(image: &str) -> (&str, &str) {
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (image, "latest"),
    }
}

fn start_error(member: &Member, source: TestcontainersError) -> EtcdError {
    EtcdError::Start { member: member.name.clone(), source: StartError::Container(source) }
}

/// Docker reports a taken port as an error 500 with a text.
fn is_port_taken(error: &EtcdError) -> bool {
    let EtcdError::Start { source: StartError::Container(TestcontainersError::Client(client)), .. } = error else {
        return false;
    };
    let (ClientError::StartContainer(docker) | ClientError::CreateContainer(docker)) = client else { return false };
    let DockerError::DockerResponseServerError { message, .. } = docker else { return false };
    message.contains("port is already allocated") || message.contains("address already in use")
}

const STACK_LABEL: &str = "dev.kyanite.stack";
const HOST_LABEL: &str = "dev.kyanite.host";
/// Networks are named after the cluster, see `Layout`.
const NETWORK_PREFIX: &str = "kyanite-";
const DATA: &str = "/data";
/// etcd's registered ports, inside the container.
const CLIENT_PORT: u16 = 2379;
const PEER_PORT: u16 = 2380;
const PORT_ATTEMPTS: u32 = 5;
const READY_WITHIN: Duration = Duration::from_secs(30);
/// An engine on the same machine answers in milliseconds.
const PING_TIMEOUT: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_split_at_the_tag() {
        assert_eq!(split_image("kyanite/etcd:local"), ("kyanite/etcd", "local"));
        assert_eq!(split_image("localhost:5000/etcd"), ("localhost:5000/etcd", "latest"));
        assert_eq!(split_image("localhost:5000/etcd:v3"), ("localhost:5000/etcd", "v3"));
    }
}
