export { type Browser, type BrowserOptions, launchBrowser } from './browser.ts'
export { browserVariable, findBrowser } from './find.ts'
export { type ExtensionName, extensionIds } from './ids.ts'
export {
  driveNightjar,
  type NightjarExtension,
  type NightjarSettings,
  openWalletWhenAsked,
  type PopupState,
  popupState,
  untilPopup,
} from './nightjar.ts'
export { dappUrl, goPrivate, type Stage, type StageOptions, setStage } from './stage.ts'
export { type StaticServer, type StaticServerOptions, serveFolder } from './staticServer.ts'
export { driveWallet, type Wallet, type WalletNetwork, type WalletPrompt, type WalletSettings } from './wallet.ts'
