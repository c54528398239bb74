#!/bin/sh
# push.sh [--dry-run] [--platform PLATFORM] [--base IMAGE] [TARGET [REPOSITORY]]: builds an image (function,
# if none is named), puts it into ECR under the commit, and prints what `facefleet deploy --serverless --image` takes:
# 123456789012.dkr.ecr.us-east-1.amazonaws.com/facefleet-function@sha256:…
# The repository is made if there is none: its tags never change, what is pushed is scanned, and the last images are kept.
# What was pushed before under the same commit is not pushed again. --dry-run says what would be done, and calls nobody.
# It needs the aws command, whose settings say where: AWS_DEFAULT_REGION, AWS_PROFILE.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
#: Images of one repository: enough to go back, and ECR charges for each.
keep=10

refuse() {
  echo "push.sh: $1" >&2
  exit 2
}

# Does it, or with --dry-run says so.
run() {
  if [ -n "$dry" ]; then
    echo "+ $*" >&2
  else
    "$@"
  fi
}

region() {
  found=${AWS_REGION:-${AWS_DEFAULT_REGION:-$(aws configure get region 2>/dev/null || :)}}
  [ -n "$found" ] || refuse "which region? set AWS_DEFAULT_REGION, as AWS_DEFAULT_REGION=us-east-1"
  echo "$found"
}

account() {
  if [ -n "$dry" ]; then
    echo 123456789012
  else
    aws sts get-caller-identity --query Account --output text || refuse "no credentials: aws sts get-caller-identity"
  fi
}

# China's regions are of their own.
domain() {
  case $region in
    cn-*) echo amazonaws.com.cn ;;
    *) echo amazonaws.com ;;
  esac
}

make_repository() {
  if [ -z "$dry" ] && aws ecr describe-repositories --region "$region" --repository-names "$repository" >/dev/null 2>&1; then
    return
  fi
  run aws ecr create-repository --region "$region" --repository-name "$repository" --image-tag-mutability IMMUTABLE \
    --image-scanning-configuration scanOnPush=true --tags Key=facefleet:made-by,Value=push >&2
  run aws ecr put-lifecycle-policy --region "$region" --repository-name "$repository" --lifecycle-policy-text \
    '{"rules":[{"rulePriority":1,"description":"the last '$keep'","selection":{"tagStatus":"any","countType":"imageCountMoreThan","countNumber":'$keep'},"action":{"type":"expire"}}]}' >&2
}

# What ECR calls the image of this tag; nothing where there is none.
digest() {
  [ -n "$dry" ] || aws ecr describe-images --region "$region" --repository-name "$repository" \
    --image-ids "imageTag=$tag" --query 'imageDetails[0].imageDigest' --output text 2>/dev/null || :
}

# By standard input, for a command's words can be read by everybody on the machine.
log_in() {
  if [ -n "$dry" ]; then
    echo "+ aws ecr get-login-password --region $region | $tool login --username AWS --password-stdin $registry" >&2
    return
  fi
  password=$(aws ecr get-login-password --region "$region") || refuse "ECR gives no password: ecr:GetAuthorizationToken"
  printf %s "$password" | "$tool" login --username AWS --password-stdin "$registry" >&2
}

dry='' options=''
while :; do
  case ${1:-} in
    --dry-run) dry=yes && shift ;;
    --platform | --base)
      [ $# -gt 1 ] || refuse "$1 needs a value"
      options="$options $1 $2" && shift 2 ;;
    -*) refuse "there is no option $1: read the top of $0" ;;
    *) break ;;
  esac
done
target=${1:-function}
repository=${2:-facefleet-$target}
tool=$("$here/build.sh" --tool)
tag=$("$here/build.sh" --version)
case $tag in
  *-dirty) [ -n "$dry" ] || refuse "the tree is not as it was committed, and a commit's tag stands for good: commit first" ;;
esac
region=$(region)
number=$(account)
registry=$number.dkr.ecr.$region.$(domain)
image=$registry/$repository:$tag

make_repository
pushed=$(digest)
if [ -z "$pushed" ] || [ "$pushed" = None ]; then
  # shellcheck disable=SC2086 # none, or words of ours
  run "$here/build.sh" $options "$target" "$image" >&2
  log_in
  run "$tool" push "$image" >&2
  pushed=$(digest)
fi
[ -n "$dry" ] || [ -n "$pushed" ] || refuse "ECR does not know $image, though it was pushed: try again"
echo "$registry/$repository@${pushed:-sha256:…}"
