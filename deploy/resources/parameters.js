// Return the parameter es-url, once it is sure that the parameters say what was meant: osls itself
// ignores one that is misspelt, and a function without an address would fail every message.
// Removing the stack needs no address.

'use strict';

// osls would print the stack of an error instead of its message.
const refusal = (message) => Object.assign(new Error(message), { stack: '' });

const REMOVES = process.argv.includes('remove');

module.exports = async ({ options, resolveVariable, resolveConfigurationProperty }) => {
  const { default: known, ...stages } = await resolveConfigurationProperty(['params']);
  const given = (options.param || []).map((pair) => pair.split('=', 1)[0]);
  const named = [...given, ...Object.values(stages).flatMap(Object.keys)];
  const unknown = named.filter((name) => name !== 'bucket' && !Object.hasOwn(known, name));
  if (unknown.length) {
    throw refusal(`there is no parameter ${unknown[0]}: docs/stack.md lists all of them`);
  }
  const url = await resolveVariable('param:es-url');
  const cloud = await resolveVariable('param:es-cloud-id');
  if (!url === !cloud && !REMOVES) {
    throw refusal('set one of the parameters es-url and es-cloud-id: where Elasticsearch is');
  }
  return url;
};
