namespace PureQLora.Tools.Train;

/// <summary>Quantises a base, trains adapters on it and measures.</summary>
internal static class Program
{
    internal static int Main(string[] arguments) => ToolProgram.Run(TrainCommand.Create(), arguments);
}
