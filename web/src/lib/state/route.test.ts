import { describe, expect, test } from 'vitest';

import { href, parseRoute } from './route';

describe('addresses', () => {
  test('what is written is read again', () => {
    const read = (to: string) => {
      const url = new URL(to, 'http://host');
      return parseRoute(url.pathname, url.search);
    };
    expect(read(href.overview)).toEqual({ page: 'overview' });
    expect(read(href.image('debian-12'))).toEqual({ page: 'image', name: 'debian-12' });
    expect(read(href.vm('new'))).toEqual({ page: 'vm', name: 'new' });
    expect(read(href.console('web-1'))).toEqual({ page: 'vm-console', name: 'web-1' });
    expect(read(href.createVm())).toEqual({ page: 'vm-create' });
    expect(read(href.createVm({ image: 'a&b' }))).toEqual({ page: 'vm-create', image: 'a&b' });
  });

  test('what nobody wrote is not found, and never throws', () => {
    for (const path of ['/nowhere', '/vms/a/b', '/vms/a/console/b', '/images/a/console']) {
      expect(parseRoute(path)).toEqual({ page: 'not-found' });
    }
    expect(parseRoute('/vms/%E0%A4%A')).toEqual({ page: 'vm', name: '%E0%A4%A' });
  });
});
