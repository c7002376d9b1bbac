using System.CommandLine;

namespace PureQLora.Tools.Export;

/// <summary>Turns what training leaves into folders that other programs load.</summary>
internal static class Program
{
    internal static int Main(string[] arguments) => ToolProgram.Run(
        new RootCommand("Turns a base and its adapter into a model folder that needs no adapter.") { MergeCommand.Create() }, arguments);
}
