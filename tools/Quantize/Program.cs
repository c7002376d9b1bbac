namespace PureQLora.Tools.Quantize;

/// <summary>Quantises a model folder.</summary>
internal static class Program
{
    internal static int Main(string[] arguments) => ToolProgram.Run(QuantizeCommand.Create(), arguments);
}
