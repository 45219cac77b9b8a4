import { expect, test } from 'vitest';

import type { Problem } from '../../lib/api/types';
import { emptyForm, fieldOf, objection, request } from './form';
import { parsePublish } from './publish';

const problem = (code: string, detail: string): Problem => ({
  kind: 'invalid',
  status: 400,
  title: '',
  code,
  detail,
});

test('what is empty is left to the server', () => {
  const { name, spec } = request({
    ...emptyForm({ image: 'debian-12' }),
    memory: ' ',
    vcpus: null,
  });
  expect(name).toBeUndefined();
  expect(spec).toEqual({
    image: 'debian-12',
    boot: { mode: 'firmware', firmware: 'auto' },
    network: { mode: 'user', publish: [] },
    power: 'on',
  });
});

test('ports and keys are one a line', () => {
  const form = { ...emptyForm({}), publish: ' 2222:22\n\n80 ', user: 'ada', sshKey: 'k 1\nk 2' };
  const { spec } = request(form);
  expect(spec.network?.publish).toEqual(['2222:22', '80']);
  expect(spec.seed).toEqual({ user: 'ada', sshKeys: ['k 1', 'k 2'] });
});

test('a disc means a disk of its own', () => {
  const { spec } = request(emptyForm({ media: 'netinst' }));
  expect(spec.image).toBeUndefined();
  expect(spec.media).toBe('netinst');
});

test('an objection stands at its field', () => {
  const memory = problem('invalid-spec', 'memory: a VM has at least 16 MiB of memory');
  expect(fieldOf(memory)).toBe('memory');
  expect(objection(memory)).toBe('A VM has at least 16 MiB of memory');
  expect(fieldOf(problem('invalid-spec', 'network.publish: twice'))).toBe('publish');
  expect(fieldOf(problem('name-taken', 'There is one already.'))).toBe('name');
  expect(fieldOf(problem('image-not-ready', 'Cannot …'))).toBe('image');
  expect(fieldOf(problem('internal', 'Kinglet failed.'))).toBeUndefined();
});

test('published ports are read as the server writes them', () => {
  expect(parsePublish('[::1]:5353:53/udp')).toEqual({
    address: '[::1]',
    host: 5353,
    guest: 53,
    protocol: 'udp',
  });
  expect(parsePublish('nonsense')).toBeUndefined();
});
