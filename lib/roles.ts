/** Roles as an organization may want them: under a path, within a permissions boundary. */
import { Aspects, CfnResource, type IAspect, Stack } from 'aws-cdk-lib';
import { CfnManagedPolicy, CfnRole } from 'aws-cdk-lib/aws-iam';
import type { Construct, IConstruct } from 'constructs';
import type { Settings } from './settings.ts';

/** Shapes every role below the scope, those that the CDK makes by itself (schedules) included. */
export function shapeRoles(scope: Construct, { path, permissionsBoundary }: Settings['roles']): void {
  if (path === '/' && permissionsBoundary === undefined) return;
  const aspect: IAspect = {
    visit(node: IConstruct): void {
      if (!CfnResource.isCfnResource(node)) return;
      // What does not fit into a role's own policies.
      if (node instanceof CfnManagedPolicy && path !== '/') node.path = path;
      if (!(node instanceof CfnRole)) return;
      if (path !== '/') node.path = path;
      if (permissionsBoundary === undefined) return;
      node.permissionsBoundary = Stack.of(node).formatArn({
        service: 'iam',
        region: '',
        resource: 'policy',
        resourceName: permissionsBoundary,
      });
    },
  };
  Aspects.of(scope).add(aspect);
}
