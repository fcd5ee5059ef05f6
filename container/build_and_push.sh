#!/bin/sh
# Builds the image for remote tuners and pushes it to the account's own registry (ECR). The last line on standard output
# is the image's URI; everything else goes to standard error.
#
#   container/build_and_push.sh [-p 3.12] [-e EXTRAS] [-t docker|podman|finch] [-r REPOSITORY] [-b BASE] [-n]
#
#   -p  Python of the image
#   -e  extras of cloudtune, as in requirements/3.12-EXTRAS.txt
#   -t  tool to build with; by default the first of docker, podman, finch that works
#   -r  repository; it is created if it is missing
#   -b  image to build on, such as one of your own, or one that is pinned by its digest
#   -n  only build: nothing is asked of AWS, and the image is called REPOSITORY:TAG
#
# Needs the AWS command line (aws) with credentials and a region. An image that is there already is not built again.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
python=${PYTHON:-3.12}
extras=${EXTRAS:-}
tool=${CONTAINER_TOOL:-}
repository=${REPOSITORY:-cloudtune-tuner}
base=${BASE:-}
push=yes

say() { printf '%s\n' "$*" >&2; }
fail() {
    say "build_and_push.sh: $*"
    exit 1
}

while getopts p:e:t:r:b:n option; do
    case $option in
    p) python=$OPTARG ;;
    e) extras=$OPTARG ;;
    t) tool=$OPTARG ;;
    r) repository=$OPTARG ;;
    b) base=$OPTARG ;;
    n) push=no ;;
    *) fail "usage: build_and_push.sh [-p PYTHON] [-e EXTRAS] [-t TOOL] [-r REPOSITORY] [-b BASE] [-n]" ;;
    esac
done

digest() {
    if command -v sha256sum >/dev/null 2>&1; then sha256sum "$@"; else shasum -a 256 "$@"; fi
}

# The tag tells what is in the image: cloudtune.aws.image_recipe computes the same.
list=requirements/$python${extras:+-$extras}.txt
[ -f "$here/$list" ] || fail "there is no list of packages $list; choose another Python (-p) or other extras (-e)"
contents=$(cd "$here" && digest Dockerfile "$list") || fail "the digest of the image's files cannot be computed"
tag=$(printf '%s\nbase=%s\n' "$contents" "$base" | digest | cut -c1-12)
tag=py$(printf '%s' "$python" | tr -d .)-${extras:+$extras-}$tag

works() { command -v "$1" >/dev/null 2>&1 && "$1" info >/dev/null 2>&1; }
if [ -n "$tool" ]; then
    works "$tool" || fail "$tool is not installed, or does not run here; start it, or name another tool (-t)"
else
    for one in docker podman finch; do
        if works "$one"; then
            tool=$one
            break
        fi
    done
    [ -n "$tool" ] ||
        fail "neither docker nor podman nor finch runs here; start one, or have AWS build it: cloudtune image build --codebuild"
fi

# The repository: private, scanned on push, tags that are never moved.
found() {
    aws ecr describe-repositories --repository-names "$repository" --query 'repositories[0].repositoryUri' --output text
}
if [ "$push" = no ]; then
    address=$repository
elif ! command -v aws >/dev/null 2>&1; then
    fail "the AWS command line (aws) is not installed; install it, or use cloudtune image push"
elif ! address=$(found 2>/dev/null); then
    say "creating the repository $repository"
    address=$(aws ecr create-repository --repository-name "$repository" --image-tag-mutability IMMUTABLE \
        --image-scanning-configuration scanOnPush=true --tags Key=cloudtune:image,Value=tuner \
        --query repository.repositoryUri --output text) || address=$(found) ||
        fail "the repository $repository can be neither found nor created (ecr:DescribeRepositories, ecr:CreateRepository)"
    aws ecr put-lifecycle-policy --repository-name "$repository" --lifecycle-policy-text "file://$here/lifecycle.json" \
        >/dev/null || say "$repository keeps every image: its lifecycle policy could not be set (ecr:PutLifecyclePolicy)"
fi
uri=$address:$tag

if [ "$push" = yes ] &&
    aws ecr describe-images --repository-name "$repository" --image-ids "imageTag=$tag" >/dev/null 2>&1; then
    say "$uri is there already"
    printf '%s\n' "$uri"
    exit 0
fi

# SageMaker is reported to refuse OCI manifests, and indexes with attestations (github.com/mlflow/mlflow/issues/13834): the
# image is built in Docker's own format, for the processors that SageMaker trains on, whatever this machine has.
set -- --platform linux/amd64 --build-arg "PYTHON=$python" --build-arg "EXTRAS=$extras" --build-arg "TAG=$tag"
if [ -n "$base" ]; then set -- "$@" --build-arg "BASE=$base"; fi
set -- "$@" --file "$here/Dockerfile" --tag "$uri" "$here"
say "building $uri with $tool"
case $tool in
podman) podman build --format docker "$@" >&2 ;;
docker)
    if docker buildx version >/dev/null 2>&1; then
        docker buildx build --provenance=false --output type=docker "$@" >&2
    else
        docker build "$@" >&2
    fi
    ;;
*) "$tool" build --provenance=false --output type=docker "$@" >&2 ;;
esac || fail "$tool could not build the image; its last lines say why"

if [ "$push" = yes ]; then
    # The password passes through a pipe: no command line shows it.
    password=$(aws ecr get-login-password) || fail "there is no password for ${address%%/*} (ecr:GetAuthorizationToken)"
    printf '%s\n' "$password" | "$tool" login --username AWS --password-stdin "${address%%/*}" >&2 ||
        fail "$tool could not log in to ${address%%/*}"
    "$tool" push "$uri" >&2 || fail "$tool could not push $uri"
fi
printf '%s\n' "$uri"
