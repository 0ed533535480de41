// Return the keys of the objects that the function may read, as a pattern for the statement in
// role.yml: logs of load balancers below the parameter log-prefix, and nothing else. Each account has
// its folder below AWSLogs/, by its number, as aws-account-id=NUMBER, or below its organisation's.

'use strict';

const FOLDER = 'AWSLogs/';

module.exports = async ({ resolveVariable }) => {
  const prefix = await resolveVariable('param:log-prefix');
  const before = prefix.endsWith(FOLDER) ? prefix.slice(0, -FOLDER.length) : prefix;
  if (/^\/|[*?$]|AWSLogs/.test(before)) {
    throw new Error(
      `log-prefix: '${prefix}' must be how keys begin, without leading /, * or ?, ` +
        'and end before AWSLogs/ or with it'
    );
  }
  return `${before === prefix ? `${prefix}*${FOLDER}` : prefix}*/elasticloadbalancing/*`;
};
