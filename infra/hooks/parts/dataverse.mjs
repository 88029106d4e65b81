// The application user of the app in Dataverse, made over the Web API with the deployer's own rights.
import { az, Problem, request } from './tools.mjs';

/**
 * Signs in to Dataverse as the user of the Azure CLI.
 * @param {string} url the environment
 * @returns {Promise<{ root: string, send: (path: string, options?: { method?: string, body?: object }) => Promise<any> }>}
 *   `send` sends a request to the Web API at `root` and returns its body; it throws a Problem with Dataverse's message
 */
export async function openDataverse(url) {
  const { origin, protocol, hostname } = new URL(url);
  if (protocol !== 'https:' && hostname !== '127.0.0.1') {
    throw new Problem(`${url} is not an https address.`, 'Correct DATAVERSE_URL with `azd env set`.');
  }
  const token = await az('account', 'get-access-token', '--resource', origin, '--query', 'accessToken');
  const root = `${origin}/api/data/v9.2/`;
  const send = async (path, { method = 'GET', body } = {}) => {
    const response = await request(`${root}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        accept: 'application/json',
        'odata-version': '4.0',
        'odata-maxversion': '4.0',
        prefer: 'return=representation',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (response.status >= 200 && response.status < 300) return response.body;
    const { code = '', message = response.text.slice(0, 200) } = response.body?.error ?? {};
    throw new Problem(
      `Dataverse answered ${response.status} to ${method} ${path.split('?')[0]}: ${code} ${message}`.trim(),
      'A system administrator of the environment can do these steps.',
    );
  };
  return { root, send };
}

/**
 * Makes the application user and gives it the role, unless that is done.
 * The calls: learn.microsoft.com/power-apps/developer/data-platform/webapi (create a row, associate rows); the columns
 * `applicationid` and `businessunitid` of systemuser, and its relationship systemuserroles_association.
 * @param {Awaited<ReturnType<typeof openDataverse>>} dataverse
 * @param {{ applicationId: string, roleName: string }} options
 * @returns {Promise<{ isNew: boolean, hasRole: boolean }>} `hasRole` is false if there is no role of this name
 */
export async function ensureApplicationUser({ root, send }, { applicationId, roleName }) {
  const find = async (path) => (await send(path)).value[0];
  const unit = await find('businessunits?$select=businessunitid&$filter=_parentbusinessunitid_value eq null');
  let user = await find(
    `systemusers?$select=systemuserid,isdisabled&$filter=applicationid eq ${applicationId}`,
  );
  const isNew = user === undefined;
  if (isNew) {
    user = await send('systemusers?$select=systemuserid', {
      method: 'POST',
      body: {
        applicationid: applicationId,
        'businessunitid@odata.bind': `/businessunits(${unit.businessunitid})`,
      },
    });
  } else if (user.isdisabled) {
    throw new Problem(
      `The application user ${applicationId} is disabled.`,
      'Enable it in the Power Platform admin centre.',
    );
  }
  const name = roleName.replaceAll("'", "''");
  const role = await find(
    `roles?$select=roleid&$filter=${encodeURIComponent(`name eq '${name}' and _businessunitid_value eq ${unit.businessunitid}`)}`,
  );
  if (role === undefined) return { isNew, hasRole: false };
  const roles = `systemusers(${user.systemuserid})/systemuserroles_association`;
  const has = await find(`${roles}?$select=roleid&$filter=roleid eq ${role.roleid}`);
  if (has === undefined) {
    await send(`${roles}/$ref`, { method: 'POST', body: { '@odata.id': `${root}roles(${role.roleid})` } });
  }
  return { isNew, hasRole: true };
}
