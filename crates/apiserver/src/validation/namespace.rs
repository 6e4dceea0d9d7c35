//! Rules of Namespaces. Imitates `ValidateNamespace` of `pkg/apis/core/validation`.

use k8s_openapi::api::core::v1::Namespace;

use super::field::FieldProblem;
use super::name;

/// What is wrong with `namespace` besides its metadata.
pub(super) fn problems(namespace: &Namespace) -> Vec<FieldProblem> {
    let finalizers = namespace.spec.iter().flat_map(|spec| spec.finalizers.iter().flatten());
    finalizers
        .enumerate()
        .flat_map(|(index, finalizer)| {
            name::qualified_name(finalizer)
                .into_iter()
                .map(move |text| FieldProblem::invalid(format!("spec.finalizers[{index}]"), finalizer, text))
        })
        .collect()
}
