namespace PureQLora.Training;

/// <summary>Where in the data a run stands; with the seed it is all that resuming needs.</summary>
/// <param name="Epoch">Passes completed.</param>
/// <param name="Index">Samples of the present pass already taken.</param>
public readonly record struct DataPosition(int Epoch, int Index);
