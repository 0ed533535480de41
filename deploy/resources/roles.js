// Return the role ARNs in the parameter bucket-roles, each once, for the statement in role.yml that
// lets the function assume them: so the setting and the permission cannot differ.
// pipeline/config.py defines a pair: ALB_LOGS_BUCKET_ROLES.

'use strict';

const PAIR =
  /^[A-Za-z0-9._-]{3,255}=(arn:aws(-cn|-us-gov)?:iam::\d{12}:role\/([\w+=,.@/-]+\/)?[\w+=,.@-]{1,64})$/;

module.exports = async ({ resolveVariable }) => {
  const text = await resolveVariable('param:bucket-roles');
  const roles = text.split(/\s+/).filter(Boolean).map((pair) => {
    const found = PAIR.exec(pair);
    if (!found) {
      const error = new Error(`bucket-roles: '${pair}' is no pair BUCKET=ROLE_ARN`);
      throw Object.assign(error, { stack: '' }); // osls would print that instead of the message
    }
    return found[1];
  });
  return [...new Set(roles)];
};
