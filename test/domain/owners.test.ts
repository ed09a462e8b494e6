import { ownerTagsOf } from '../../domain/owners.ts';
import { policySchema } from '../../domain/policy.ts';

const { ownerTags } = policySchema.parse({});

describe('ownerTagsOf', () => {
  it.each([
    ['aws:autoscaling:groupName'],
    ['karpenter.sh/nodepool'],
    ['kubernetes.io/cluster/production'],
    ['elasticbeanstalk:environment-id'],
    ['AWSRDSCustom'],
  ])('by default %s names an owner', (key) => {
    expect(ownerTagsOf({ Name: 'n', [key]: 'v' }, ownerTags)).toEqual([key]);
  });

  it.each([
    ['kubernetes.io'],
    ['Name'],
    ['aws:autoscaling:groupNames'],
    ['toString'],
    ['my-aws:autoscaling:groupName'],
  ])('by default %s names none', (key) => {
    expect(ownerTagsOf({ [key]: 'v' }, ownerTags)).toEqual([]);
  });

  it('names all of them, sorted, whatever the order of the patterns', () => {
    expect(ownerTagsOf({ b2: '', a: '', b1: '', c: '' }, ['b*', 'a'])).toEqual(['a', 'b1', 'b2']);
  });

  it('takes a star elsewhere than at the end as it stands', () => {
    expect(ownerTagsOf({ 'a*b': '', axb: '' }, ['a*b'])).toEqual(['a*b']);
  });
});
