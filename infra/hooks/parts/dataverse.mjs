// The application user of the app in Dataverse, made over the Web API with the deployer's own rights.
import { az, Problem, request } from './tools.mjs';

/**
 * A token for Dataverse of the user of the Azure CLI.
 * @param {string} url the origin of the environment
 * @returns {Promise<string>}
 */
export async function dataverseToken(url) {
  return az('account', 'get-access-token', '--resource', url, '--query', 'accessToken');
}

/**
 * Makes the application user in the root business unit, unless it exists.
 * The calls: learn.microsoft.com/power-apps/developer/data-platform/webapi, "Create a table row"; the columns
 * `applicationid` and `businessunitid` of systemuser.
 * @param {{ url: string, token: string, applicationId: string }} options
 * @returns {Promise<boolean>} whether it is new
 */
export async function ensureApplicationUser({ url, token, applicationId }) {
  const send = webApi(url, token);
  const find = async (path) => {
    const { value } = (await send(path)) ?? {};
    if (Array.isArray(value)) return value[0];
    throw new Problem(
      `${url} answered with something else than rows of Dataverse, such as a web page.`,
      'Correct DATAVERSE_URL with `azd env set`: it is the address of the environment, such as https://contoso.crm.dynamics.com.',
    );
  };
  const user = await find(
    `systemusers?$select=systemuserid,isdisabled&$filter=applicationid eq ${applicationId}`,
  );
  if (user?.isdisabled) {
    throw new Problem(
      `The application user ${applicationId} is disabled.`,
      'Enable it in the Power Platform admin centre.',
    );
  }
  if (user !== undefined) return false;
  const unit = await find('businessunits?$select=businessunitid&$filter=_parentbusinessunitid_value eq null');
  if (unit === undefined) {
    throw new Problem('Dataverse shows no root business unit.', 'Your account lacks read access to it.');
  }
  await send('systemusers?$select=systemuserid', {
    method: 'POST',
    body: {
      applicationid: applicationId,
      'businessunitid@odata.bind': `/businessunits(${unit.businessunitid})`,
    },
  });
  return true;
}

/** Sends requests to the Web API and returns their bodies; throws a Problem with Dataverse's message. */
function webApi(url, token) {
  const root = `${url}/api/data/v9.2/`;
  return async (path, { method = 'GET', body } = {}) => {
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
}
