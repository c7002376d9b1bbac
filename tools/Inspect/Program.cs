using System.CommandLine;

namespace PureQLora.Tools.Inspect;

/// <summary>Shows what is in a model folder, and the numbers it computes.</summary>
internal static class Program
{
    internal static int Main(string[] arguments) => ToolProgram.Run(
        new RootCommand("Shows what is in a model folder, and the numbers it computes, to compare with other frameworks.")
        {
            ModelCommand.Create(),
            TokensCommand.Create(),
            LogitsCommand.Create(),
            GradientsCommand.Create(),
        },
        arguments);
}
