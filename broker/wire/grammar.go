package wire

// grammars is written by a test, see grammar.
var grammars = map[int16][]grammar{
	0:  {{9, "s24[s[4st]t]t"}, {13, "s24[u[4st]t]t"}},                                                                          // Produce
	1:  {{12, "4444144[s[448484t]t][s[4]t]st"}, {13, "4444144[u[448484t]t][u[4]t]st"}, {15, "444144[u[448484t]t][u[4]t]sr"}},   // Fetch
	2:  {{6, "41[s[448t]t]t"}, {10, "41[s[448t]t]4t"}},                                                                         // ListOffsets
	3:  {{9, "[st]111t"}, {10, "[ust]111t"}, {11, "[ust]11t"}},                                                                 // Metadata
	8:  {{8, "s4ss[s[484st]t]t"}, {10, "s4ss[u[484st]t]t"}},                                                                    // OffsetCommit
	9:  {{6, "s[s[4]t]t"}, {7, "s[s[4]t]1t"}, {8, "[s[s[4]t]t]1t"}, {9, "[ss4[s[4]t]t]1t"}, {10, "[ss4[u[4]t]t]1t"}},           // OffsetFetch
	10: {{3, "s1t"}, {4, "1[s]t"}},                                                                                             // FindCoordinator
	11: {{6, "s44sss[sst]t"}, {8, "s44sss[sst]st"}},                                                                            // JoinGroup
	12: {{4, "s4sst"}},                                                                                                         // Heartbeat
	13: {{4, "s[sst]t"}, {5, "s[ssst]t"}},                                                                                      // LeaveGroup
	14: {{4, "s4ss[sst]t"}, {5, "s4ssss[sst]t"}},                                                                               // SyncGroup
	15: {{5, "[s]1t"}},                                                                                                         // DescribeGroups
	16: {{3, "t"}, {4, "[s]t"}, {5, "[s][s]t"}},                                                                                // ListGroups
	18: {{3, "sst"}},                                                                                                           // ApiVersions
	19: {{5, "[s42[4[4]t][sst]t]41t"}},                                                                                         // CreateTopics
	20: {{4, "[s]4t"}, {6, "[sut]4t"}},                                                                                         // DeleteTopics
	21: {{2, "[s[48t]t]4t"}},                                                                                                   // DeleteRecords
	22: {{2, "s4t"}, {3, "s482t"}},                                                                                             // InitProducerID
	23: {{4, "4[s[444t]t]t"}},                                                                                                  // OffsetForLeaderEpoch
	24: {{3, "s82[s[4]t]t"}, {4, "[s821[s[4]t]t]t"}},                                                                           // AddPartitionsToTxn
	25: {{3, "s82st"}},                                                                                                         // AddOffsetsToTxn
	26: {{3, "s821t"}},                                                                                                         // EndTxn
	27: {{1, "[821[s[4]t]4t]t"}, {2, "[821[s[4]t]41t]t"}},                                                                      // WriteTxnMarkers
	28: {{3, "ss824ss[s[484st]t]t"}, {6, "ss824ss[u[484st]t]t"}},                                                               // TxnOffsetCommit
	32: {{4, "[1s[s]t]11t"}},                                                                                                   // DescribeConfigs
	33: {{2, "[1s[sst]t]1t"}},                                                                                                  // AlterConfigs
	34: {{2, "[s[s[4]t]t]t"}},                                                                                                  // AlterReplicaLogDirs
	35: {{2, "[s[4]t]t"}},                                                                                                      // DescribeLogDirs
	37: {{2, "[s4[[4]t]t]41t"}},                                                                                                // CreatePartitions
	42: {{2, "[s]t"}},                                                                                                          // DeleteGroups
	43: {{2, "1[s[4]t]4t"}},                                                                                                    // ElectLeaders
	44: {{1, "[1s[s1st]t]1t"}},                                                                                                 // IncrementalAlterConfigs
	45: {{0, "4[s[4[4]t]t]t"}, {1, "41[s[4[4]t]t]t"}},                                                                          // AlterPartitionAssignments
	46: {{0, "4[s[4]t]t"}},                                                                                                     // ListPartitionReassignments
	52: {{0, "s[s[44448t]t]t"}, {1, "s4[s[444uu48t]t]t"}, {2, "s4[s[444uu481t]t]t"}},                                           // Vote
	53: {{1, "s4[s[4u44t]t][ss2t]t"}},                                                                                          // BeginQuorumEpoch
	54: {{1, "s[s[444[4ut]t]t][ss2t]t"}},                                                                                       // EndQuorumEpoch
	55: {{0, "[s[4t]t]t"}},                                                                                                     // DescribeQuorum
	56: {{2, "48[u[44[4]14t]t]t"}, {3, "48[u[44[48t]14t]t]t"}},                                                                 // AlterPartition
	57: {{0, "4[s21t]t"}, {1, "4[s21t]1t"}},                                                                                    // UpdateFeatures
	59: {{0, "44[s[4484t8t]t]t"}},                                                                                              // FetchSnapshot
	60: {{0, "1t"}, {1, "11t"}, {2, "111t"}},                                                                                   // DescribeCluster
	61: {{0, "[s[4]t]t"}},                                                                                                      // DescribeProducers
	62: {{0, "4su[ss22t][s22t]st"}, {1, "4su[ss22t][s22t]s1t"}, {2, "4su[ss22t][s22t]s1[u]t"}, {3, "4su[ss22t][s22t]s1[u]8t"}}, // BrokerRegistration
	63: {{0, "48811t"}},                                                                                                        // BrokerHeartbeat
	64: {{0, "4t"}},                                                                                                            // UnregisterBroker
	65: {{0, "[s]t"}},                                                                                                          // DescribeTransactions
	66: {{0, "[s][8]t"}, {1, "[s][8]8t"}, {2, "[s][8]8st"}},                                                                    // ListTransactions
	67: {{0, "48t"}},                                                                                                           // AllocateProducerIDs
	68: {{0, "ss4ss4[s]s[u[4]t]t"}, {1, "ss4ss4[s]ss[u[4]t]t"}},                                                                // ConsumerGroupHeartbeat
	69: {{0, "[s]1t"}},                                                                                                         // ConsumerGroupDescribe
	74: {{0, "t"}, {1, "[1]t"}},                                                                                                // ListConfigResources
	75: {{0, "[st]4(s4t)t"}},                                                                                                   // DescribeTopicPartitions
}
