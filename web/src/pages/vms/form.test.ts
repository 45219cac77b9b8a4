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
  const form = { ...emptyForm({}), diskSize: 'zz', publish: '80\n22:x' };
  const at = (code: string, detail: string) => fieldOf(problem(code, detail), form);
  const memory = 'Memory: a VM has at least 16 MiB of memory.';
  expect(at('invalid-memory', memory)).toBe('memory');
  expect(objection(problem('invalid-memory', memory))).toBe('A VM has at least 16 MiB of memory.');
  expect(at('invalid-spec', 'network.publish: twice')).toBe('publish');
  expect(at('invalid-seed-user', 'Seed.user: a user name …')).toBe('user');
  expect(at('name-taken', 'There is one already.')).toBe('name');
  expect(at('image-not-ready', 'Cannot …')).toBe('image');
  expect(at('internal', 'Kinglet failed.')).toBeUndefined();
});

test('what could not be read stands where it was typed', () => {
  const form = { ...emptyForm({}), diskSize: 'zz', publish: '80\n22:x' };
  const at = (text: string) =>
    fieldOf(problem('body-invalid', `The body is not what is taken here: ${text}`), form);
  expect(at('"zz" is not a size')).toBe('diskSize');
  expect(at('"22:x" is not a published port')).toBe('publish');
  expect(at("the name has 'X' in it")).toBe('name');
  expect(at('"else" is nothing')).toBeUndefined();
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
