// Give the role ARNs in the parameter bucket-roles, each once, for the statement in role.yml that
// lets the function assume them: so that the setting and the permission can not differ.
// What a pair is, pipeline/config.py says: ALB_LOGS_BUCKET_ROLES.

'use strict';

const PAIR =
  /^[A-Za-z0-9._-]{3,255}=(arn:aws(-cn|-us-gov)?:iam::\d{12}:role\/([\w+=,.@/-]+\/)?[\w+=,.@-]{1,64})$/;

module.exports = async ({ resolveVariable }) => {
  const text = await resolveVariable('param:bucket-roles');
  const roles = text.split(/\s+/).filter(Boolean).map((pair) => {
    const found = PAIR.exec(pair);
    if (!found) throw new Error(`bucket-roles: '${pair}' is no pair BUCKET=ROLE_ARN`);
    return found[1];
  });
  return [...new Set(roles)];
};
