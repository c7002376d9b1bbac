namespace PureQLora.Tools.Generate;

/// <summary>Continues a prompt.</summary>
internal static class Program
{
    internal static int Main(string[] arguments) => ToolProgram.Run(GenerateCommand.Create(), arguments);
}
