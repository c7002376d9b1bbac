namespace PureQLora.Training;

/// <summary>Where a run stands; with the weights and the optimiser's moments it is all that going on bit for bit needs.</summary>
/// <param name="Step">Optimiser steps done.</param>
/// <param name="Data">What has been taken of the data.</param>
/// <param name="RandomSeed">Stream of the dropout masks.</param>
/// <param name="RandomCounter">Keys drawn from it.</param>
public sealed record TrainerState(int Step, DataPosition Data, ulong RandomSeed, ulong RandomCounter);
