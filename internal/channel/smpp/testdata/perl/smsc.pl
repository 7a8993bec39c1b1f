#!/usr/bin/perl
# An SMSC on Net::SMPP, for the tests: perl smsc.pl PORT JOURNAL
#
# As npm/smsc.js it writes down what it took and what was acknowledged, and goes on there after a kill -9. Ids are
# decimal everywhere, receipts are by text alone. It ends when its stdin ends.
use strict;
use warnings;
use Encode qw(decode);
use IO::Select;
use JSON::PP;
use Net::SMPP;

my ($port, $journal) = @ARGV;
my $json = JSON::PP->new->canonical->utf8;
my (%open, %waiting, %state);
my $last = 0;
$SIG{PIPE} = 'IGNORE';
local $SIG{__WARN__} = sub { print STDERR @_ unless $_[0] =~ /premature eof|error reading header/ };

if (open my $in, '<', $journal) {
    while (my $line = <$in>) {
        my $e = $json->decode($line);
        if (defined $e->{text}) {
            $last = $e->{n} if $e->{n} > $last;
            $open{ $e->{id} } = $e if $e->{registered};
        }
        delete $open{ $e->{receipt} } if defined $e->{receipt};
    }
}
open my $out, '>>', $journal or die "$journal: $!";
$out->autoflush(1);

my $listen = Net::SMPP->new_listen('127.0.0.1', port => $port, smpp_version => 0x34) or die "listen: $!";
my $select = IO::Select->new($listen, \*STDIN);
$| = 1;
print "ready\n";

sub note { print {$out} $json->encode($_[0]), "\n" }

sub receipt {
    my ($s, $e) = @_;
    my $seq = $s->deliver_sm(
        async => 1, source_addr => $e->{to}, destination_addr => $e->{from}, esm_class => 4,
        short_message => "id:$e->{id} sub:001 dlvrd:001 submit date:2611231200 done date:2611231201 stat:DELIVRD err:000 text:",
    );
    $waiting{ fileno $s }{$seq} = $e->{id};
}

sub submitted {
    my ($s, $p) = @_;
    my ($text, $udh) = ($p->{short_message}, '');
    if ($p->{esm_class} & 0x40) {
        my $size = 1 + ord $text;
        $udh = unpack 'H*', substr $text, 0, $size;
        $text = substr $text, $size;
    }
    $text = decode($p->{data_coding} == 8 ? 'UTF-16BE' : 'gsm0338', $text);
    my $n = ++$last;
    my $e = {
        n => $n, id => 7_000_000 + $n, text => $text, udh => [ $udh ? $udh : () ], from => $p->{source_addr}, to => $p->{destination_addr},
        coding => $p->{data_coding}, registered => $p->{registered_delivery},
    };
    $e->{id} .= '';
    note($e);
    $s->submit_sm_resp(seq => $p->{seq}, message_id => $e->{id});
    return unless $e->{registered};
    $open{ $e->{id} } = $e;
    receipt($s, $e);
}

sub hear {
    my ($s) = @_;
    my $p = $s->read_pdu or return 0;
    my $cmd = $p->{cmd};
    if ($cmd == Net::SMPP::CMD_bind_transceiver) {
        my $ok = $p->{system_id} eq 'dialproof' && $p->{password} eq 'pa55word';
        $s->bind_transceiver_resp(seq => $p->{seq}, status => $ok ? 0 : 0x0e, system_id => 'perl');
        return 0 unless $ok;
        receipt($s, $_) for values %open;
    }
    elsif ($cmd == Net::SMPP::CMD_submit_sm)    { submitted($s, $p) }
    elsif ($cmd == Net::SMPP::CMD_enquire_link) { $s->enquire_link_resp(seq => $p->{seq}) }
    elsif ($cmd == Net::SMPP::CMD_deliver_sm_resp) {
        my $id = delete $waiting{ fileno $s }{ $p->{seq} };
        note({ receipt => $id }) if defined $id && $p->{status} == 0 && delete $open{$id};
    }
    elsif ($cmd == Net::SMPP::CMD_unbind) {
        $s->unbind_resp(seq => $p->{seq});
        return 0;
    }
    return 1;
}

while (1) {
    for my $s ($select->can_read) {
        if ($s == \*STDIN) { exit 0 unless sysread STDIN, my $nothing, 1 }
        elsif ($s == $listen) { $select->add($listen->accept) }
        elsif (!hear($s)) {
            delete $waiting{ fileno $s };
            $select->remove($s);
            $s->close;
        }
    }
}
