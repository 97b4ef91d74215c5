export async function document() {}
