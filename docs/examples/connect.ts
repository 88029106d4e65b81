import { createCredential, createDataverse, type Dataverse } from 'dataverse-sqlite-sync/dataverse';

/** The environment that `DATAVERSE_URL` names, with `DATAVERSE_ACCESS_TOKEN` or else the credential of the machine. */
export function connect(): Dataverse {
  const { DATAVERSE_URL: url, DATAVERSE_ACCESS_TOKEN: accessToken } = process.env;
  if (url === undefined) throw new Error('Set DATAVERSE_URL, or use npm run example.');
  const credential = accessToken === undefined ? createCredential() : createCredential({ accessToken });
  return createDataverse({ url, credential });
}
