#!/usr/bin/perl
# Every file, link and folder below the folders given: type, mode, owner, group, path and content or target in hexadecimal.
use strict;
use warnings;

sub show {
	my ($path) = @_;
	my @s = lstat $path or die "$path: $!\n";
	my $type = -l _ ? 'link' : -d _ ? 'folder' : -f _ ? 'file' : 'other';
	my $content = $type eq 'link' ? readlink $path : '';
	if ($type eq 'file') {
		open my $in, '<:raw', $path or die "$path: $!\n";
		local $/;
		$content = <$in> // '';
	}
	printf "%s %04o %d %d %s %s\n", $type, $s[2] & 07777, $s[4], $s[5], unpack('H*', $path), unpack('H*', $content);
	return if $type ne 'folder';
	opendir my $dir, $path or die "$path: $!\n";
	show("$path/$_") for sort grep { !/^\.\.?$/ } readdir $dir;
}
show($_) for @ARGV;
